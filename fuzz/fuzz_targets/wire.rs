//! Frames as a stranger sends them to a node, or a node that is none to a holder: each has one spelling, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opalid_core::lease::wire::{ToHolder, ToNode};

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = ToNode::decode(data) {
        assert_eq!(message.encode(), data);
    }
    if let Ok(message) = ToHolder::decode(data) {
        assert_eq!(message.encode(), data);
    }
});
