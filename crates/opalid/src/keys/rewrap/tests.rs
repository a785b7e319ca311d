//! A rotation that breaks off, wherever it does, leaves a store that starts.

use std::path::Path;

use opalid_core::grant::{EntitlementNo, Epoch, Guard};
use opalid_core::ids::GrantId;
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::{Access, Jti, PresentedToken, Sealed};

use super::*;
use crate::clock::Clock;
use crate::manage::tests::folder;
use crate::passwords::password_hash::{HashCost, HasherSettings};
use crate::start::{Starting, start};

async fn open(data: &Path) -> App {
    let starting = Starting {
        data: data.to_owned(),
        location: None,
        master_key: None,
        master_key_from: None,
        hasher: HasherSettings { cost: HashCost { memory_kib: 8, passes: 1, lanes: 1 }, threads: 1, waiting: 8 },
        trusted_proxies: Vec::new(),
        audit_kept: Seconds(90 * 24 * 3600),
        issuer: "http://localhost:8080".into(),
        clock: Clock::manual(UnixTime(1_795_468_803)),
        boottime: crate::clock::boottime,
        lease: std::time::Duration::from_secs(5),
        demo: false,
        on_fatal: Arc::new(|why| panic!("{why}")),
    };
    start(starting).await.unwrap()
}

async fn close(app: App) {
    app.store.close().await;
}

async fn seal(app: &App) -> String {
    let sealed = Sealed {
        grant: GrantId::from_bytes([1; 16]),
        guard: Guard::new([2; 8]),
        entitlement: EntitlementNo(0),
        epoch: Epoch::FIRST,
        issued_at: app.now(),
        expires_at: app.now(),
        confirmation: None,
    };
    app.find_issuer(None).await.unwrap().unwrap().sealer.seal::<Access>(&sealed, Jti([3; 12]))
}

async fn is_ours(app: &App, token: &str) -> bool {
    let issuer = app.find_issuer(None).await.unwrap().unwrap();
    issuer.sealer.open::<Access>(PresentedToken::new(token)).is_ok()
}

fn stamp(app: &App) -> Stamp {
    app.stamp(app.root, "test")
}

#[tokio::test]
async fn wherever_it_breaks_off_the_next_start_finds_the_right_key() {
    for stage in [Stage::Written, Stage::Committed, Stage::FormerKept, Stage::Replaced] {
        let data = folder();
        let app = open(&data).await;
        let (file, incoming) = (data.join("master.key"), data.join("master.key.new"));
        let (token, before) = (seal(&app).await, std::fs::read(&file).unwrap());
        let done = rotate_until(&app, None, stamp(&app), &mut |reached| reached != stage).await;
        assert_eq!(done.is_ok(), stage == Stage::Replaced, "{stage:?}");
        if stage != Stage::Replaced {
            let again = rotate(&app, None, stamp(&app)).await.unwrap_err().to_string();
            assert!(again.contains("a rotation broke off"), "{again}");
        }
        close(app).await;

        let app = open(&data).await;
        assert!(is_ours(&app, &token).await && !incoming.exists(), "{stage:?}");
        assert_eq!(std::fs::read(&file).unwrap() == before, stage == Stage::Written, "{stage:?}");
        rotate(&app, None, stamp(&app)).await.unwrap();
        assert!(is_ours(&app, &token).await);
        close(app).await;
        let app = open(&data).await;
        assert!(is_ours(&app, &token).await, "{stage:?}");
        close(app).await;
        drop(std::fs::remove_dir_all(&data));
    }
}

#[tokio::test]
async fn a_new_key_that_was_written_in_part_stops_no_start() {
    let data = folder();
    close(open(&data).await).await;
    std::fs::write(data.join("master.key.new"), "AAEC").unwrap();
    close(open(&data).await).await;
    assert!(!data.join("master.key.new").exists());
    drop(std::fs::remove_dir_all(&data));
}

#[tokio::test]
async fn nothing_is_wrapped_anew_where_a_key_does_not_open() {
    let data = folder();
    let app = open(&data).await;
    let mut keys = app.store.read(ListWrapped).await.unwrap();
    let check = app.master.current().check().to_vec();
    let spoiled: Vec<_> = keys.drain(..).map(|key| (key.clone(), [key.wrapped, vec![0]].concat())).collect();
    let step = RewrapKeys { stamp: stamp(&app), key_check: (check.clone(), check.clone()), keys: spoiled };
    assert_eq!(app.store.run(step).await.unwrap(), ChangedKeys::Done);
    let why = rotate(&app, None, stamp(&app)).await.unwrap_err().to_string();
    assert!(why.contains("does not open under the master key; nothing was changed"), "{why}");
    assert_eq!(app.store.read(FindCell).await.unwrap().unwrap().key_check, check);
    assert!(!data.join("master.key.new").exists());
    close(app).await;
    drop(std::fs::remove_dir_all(&data));
}
