//! Bodies and query strings: read or refused, never a panic, and no value of a refused one in the error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opalid_core::form::Form;

fuzz_target!(|data: &[u8]| match Form::parse(data) {
    Ok(form) => {
        for name in ["code", "state", "resource"] {
            assert!(form.all(name).all(|value| !value.contains('\0')));
        }
        assert!(form.all("code").count() <= 1);
    }
    Err(refused) => assert!(refused.wire_description().len() < 200),
});
