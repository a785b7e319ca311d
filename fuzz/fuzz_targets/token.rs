//! Tokens as strangers send them: nothing opens but what was sealed here, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opalid_core::ids::WorkspaceId;
use opalid_core::token::{Access, Code, PresentedToken, Refresh, Sealer, SessionCookie};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(sealer) = Sealer::new(WorkspaceId::from_bytes([7; 16]), (2, &[2; 32]), &[(1, &[1; 32])]) else { return };
    for prefix in ["", "oat_", "ort_", "oac_"] {
        let text = format!("{prefix}{text}");
        let token = PresentedToken::new(&text);
        assert!(sealer.open::<Access>(token).is_err());
        assert!(sealer.open_row::<Refresh>(token).is_err());
        assert!(sealer.open_row::<Code>(token).is_err());
        assert!(sealer.open_row::<SessionCookie>(token).is_err());
    }
});
