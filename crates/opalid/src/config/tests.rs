//! The rules of the configuration, each from texts to `Config` or to its mistake.

use opalid_core::time::Seconds;

use super::*;

fn settings(file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Settings {
    Settings::new(Sources {
        file: (!file.is_empty()).then(|| ("opalid.toml".into(), file.into())),
        environment: variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        flags: flags.iter().map(|(name, value)| (*name, (*value).into())).collect(),
        demo: false,
    })
}

fn demo(flags: &[(&'static str, &str)]) -> Settings {
    let flags = flags.iter().map(|(name, value)| (*name, (*value).into())).collect();
    Settings::new(Sources { flags, demo: true, ..Sources::default() })
}

/// The mistakes, one a line; nothing when it is right.
fn mistakes(settings: &Settings) -> String {
    let Err(mistakes) = settings.config() else { return String::new() };
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const ISSUER: (&str, &str) = ("OPALID_ISSUER", "https://login.example.com");

#[test]
fn flags_win_over_variables_over_the_file_over_the_default() {
    let file = "issuer = \"https://file.example\"\ndata = \"/file\"\n[log]\nformat = \"json\"\n";
    let variables = [("OPALID_ISSUER", "https://variable.example"), ("OPALID_DATA", "/variable")];
    let settings = settings(file, &variables, &[("issuer", "https://flag.example")]);
    let config = settings.config().unwrap();
    assert_eq!(config.issuer.as_str(), "https://flag.example");
    assert_eq!(config.data, PathBuf::from("/variable"));
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.listen, [ListenAddress::Localhost(8080)]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(config.workers, cores);
    let shown = settings.show().replace(&format!("workers = {cores} "), "workers = 2 ");
    insta::assert_snapshot!(shown, @r#"
    issuer = "https://flag.example"                                                        # flag --issuer
    listen = ["localhost:8080"]                                                            # default
    data = "/variable"                                                                     # variable OPALID_DATA
    database = "sqlite"                                                                    # default
    database_password = (unset: no password)                                               # default
    master_key = (unset: the file master.key in the data folder, made at the first start)  # default
    tls.certificate = (unset: plain HTTP, for a proxy in front)                            # default
    tls.key = (unset: plain HTTP, for a proxy in front)                                    # default
    trusted_proxies = []                                                                   # default
    metrics_listen = "127.0.0.1:9090"                                                      # default
    audit_days = 90                                                                        # default
    verifier_lease = 5                                                                     # default
    workers = 2                                                                            # default, one per core
    log.format = "json"                                                                    # opalid.toml:4
    log.level = "info"                                                                     # default
    "#);
}

#[test]
fn the_number_of_threads_is_shown_with_where_it_came_from() {
    assert!(settings("", &[ISSUER], &[("workers", "3")]).show().contains("\nworkers = 3 "));
    let shown = settings("\nworkers = 5\n", &[ISSUER], &[]).show();
    let line = shown.lines().find(|line| line.starts_with("workers = 5 ")).unwrap();
    assert!(line.ends_with("# opalid.toml:2"), "{line}");
}

#[test]
fn commands_that_reach_a_server_refuse_of_a_file_what_the_server_refuses() {
    let settings = settings("dat = \"/x\"\nworkers = \"four\"\n[log]\ncolour = \"red\"\n", &[ISSUER], &[]);
    let serve = settings.config().unwrap_err();
    assert_eq!(serve.len(), 3);
    assert_eq!(settings.data().unwrap_err(), serve);
    assert_eq!(settings.kept().err().unwrap(), serve);
    assert_eq!(settings.known().unwrap_err(), serve);
}

#[test]
fn a_whole_file_is_understood() {
    let file = r#"
        issuer = "https://login.example.com"
        listen = ["0.0.0.0:443", "[::]:443"]
        database = "postgres://opalid@db.example:5432/opalid"
        database_password = { env = "DB_PASSWORD" }
        tls = { certificate = "/etc/opalid/cert.pem", key = "/etc/opalid/key.pem" }
        trusted_proxies = ["10.0.0.0/8", "::1"]
        metrics_listen = "off"
        audit_days = 400
        workers = 4
        log.level = "info,opalid::http=debug"
    "#;
    let config = settings(file, &[("DB_PASSWORD", "s3cret")], &[]).config().unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.database, Database::Postgres("postgres://opalid@db.example:5432/opalid".into()));
    assert_eq!(config.database_password.as_ref().unwrap().expose(), "s3cret");
    assert_eq!(config.tls.as_ref().unwrap().key, PathBuf::from("/etc/opalid/key.pem"));
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.metrics_listen, None);
    assert_eq!((config.workers, config.audit_kept), (4, Seconds(400 * 24 * 3600)));
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_name() {
    let file = "isuer = \"https://a.example\"\n\n[log]\nformt = \"json\"\n[metrics]\nlisten = \"off\"\n";
    let settings = settings(file, &[ISSUER, ("OPALID_DATABSE", "sqlite")], &[]);
    insta::assert_snapshot!(mistakes(&settings), @r"
    isuer (opalid.toml:1): there is no such setting; the nearest is issuer
    log.formt (opalid.toml:4): there is no such setting; the nearest is log.format
    metrics (opalid.toml:5): there is no such setting; the nearest is metrics_listen
    OPALID_DATABSE (variable OPALID_DATABSE): there is no such setting; the nearest is OPALID_DATABASE
    ");
}

#[test]
fn variables_that_others_make_are_left_alone() {
    let variables = [
        ISSUER,
        ("OPALID_SERVICE_HOST", "10.0.0.1"),
        ("OPALID_PORT", "tcp://10.0.0.1:80"),
        ("OPALID_SERVICE_PORT", "80"),
        ("OPALID_SERVICE_PORT_HTTP", "80"),
        ("OPALID_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("OPALID_PORT_80_TCP_PROTO", "tcp"),
        ("OPALID_PORT_80_TCP_PORT", "80"),
        ("OPALID_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("OPALID_CLIENT_SECRET_FILE", "/run/secrets/client"),
        ("OPALID_TEST_POSTGRES", "x"),
        ("OPALID_DATA", ""),
    ];
    assert_eq!(mistakes(&settings("", &variables, &[])), "");
}

#[test]
fn a_variable_that_only_looks_like_one_of_a_service_is_refused() {
    let service = [ISSUER, ("OPALID_SERVICE_HOST", "10.0.0.1"), ("OPALID_SERVICE_PORT", "80")];
    assert_eq!(mistakes(&settings("", &service, &[])), "");
    for (name, value) in [("OPALID_PORT", "8080"), ("OPALID_LISTEN_PORT", "8080"), ("OPALID_SERVICE_PORT_X", "x")] {
        let text = mistakes(&settings("", &[&service[..], &[(name, value)]].concat(), &[]));
        assert!(text.starts_with(name) && text.contains("no such setting"), "{name}: {text}");
    }
    for alone in [("OPALID_PORT", "tcp://10.0.0.1:80"), ("OPALID_SERVICE_HOST", "10.0.0.1")] {
        assert!(mistakes(&settings("", &[ISSUER, alone], &[])).starts_with(alone.0), "no service stands beside it");
    }
}

#[test]
fn a_wrong_value_names_its_key_its_originand_what_is_expected() {
    let file = "workers = \"four\"\nlisten = 8080\nlog = { level = \"=loud=\" }\n";
    let variables = [ISSUER, ("OPALID_LOG_FORMAT", "xml"), ("OPALID_TRUSTED_PROXIES", "10.0.0.0/8, proxy")];
    let settings = settings(file, &variables, &[("metrics_listen", "9090")]);
    insta::assert_snapshot!(mistakes(&settings), @r#"
    listen (opalid.toml:2): expected a list of texts, found integer
    workers (opalid.toml:1): expected a whole number, found string
    trusted_proxies (variable OPALID_TRUSTED_PROXIES): expected an address or a network such as 10.0.0.0/8 or fd00::/8; found "proxy"
    metrics_listen (flag --metrics-listen): expected an address with a port, such as 127.0.0.1:8080, [::1]:8080 or localhost:8080, or off
    log.format (variable OPALID_LOG_FORMAT): expected text or json
    log.level (opalid.toml:3): expected error, warn, info, debug or trace, also per module: info,opalid::http=debug
    "#);
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    let text = mistakes(&settings("data = \"x\"\nissuer = \n", &[ISSUER], &[]));
    assert!(text.starts_with("config (opalid.toml:2): not TOML: "), "{text}");
}

#[test]
fn an_issuer_is_an_origin() {
    for good in [
        "https://login.example.com",
        "https://login.example.com:8443",
        "http://localhost:8080",
        "http://app.localhost",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ] {
        let issuer: Issuer = good.parse().unwrap();
        assert_eq!(issuer.as_str(), good);
        assert_eq!(issuer.is_loopback(), !good.contains("example"));
    }
    for wrong in [
        "http://login.example.com",
        "http://localhost.example.com",
        "http://128.0.0.1",
        "https://login.example.com/",
        "https://login.example.com/path",
        "https://login.example.com?x",
        "https://login.example.com#x",
        "https://user@login.example.com",
        "https://LOGIN.example.com",
        "https://login.example.com:443",
        "http://localhost:80",
        "https://login.example.com:0",
        "https://login.example.com:",
        "https://",
        "https://a b",
        "https://ümlaut.example",
        "https://[::1",
        "ftp://localhost",
        "login.example.com",
    ] {
        assert!(wrong.parse::<Issuer>().is_err(), "{wrong}");
    }
}

#[test]
fn without_demo_the_issuer_must_be_set() {
    let text = mistakes(&settings("", &[], &[]));
    assert!(text.starts_with("issuer (default): it is not set"), "{text}");
}

#[test]
fn the_demo_knows_its_issuer_and_stays_on_loopback() {
    assert_eq!(demo(&[]).config().unwrap().issuer.as_str(), "http://localhost:8080");
    assert_eq!(demo(&[("listen", "localhost:9000")]).config().unwrap().issuer.as_str(), "http://localhost:9000");
    assert!(mistakes(&demo(&[("listen", "localhost:8080,0.0.0.0:8081")])).starts_with("listen (flag --listen)"));
    assert!(mistakes(&demo(&[("issuer", "https://login.example.com")])).starts_with("issuer (flag --issuer)"));
    let text = mistakes(&demo(&[("metrics_listen", "0.0.0.0:9090")]));
    assert!(text.starts_with("metrics_listen (flag --metrics-listen)") && text.contains("loopback"), "{text}");
    assert_eq!(mistakes(&demo(&[("metrics_listen", "[::1]:9090")])), "");
}

#[test]
fn an_http_issuer_is_listened_for_on_loopback_alone() {
    let asked = |issuer, listen| mistakes(&settings("", &[("OPALID_ISSUER", issuer)], &[("listen", listen)]));
    let text = asked("http://localhost:8080", "127.0.0.1:8080,0.0.0.0:8080");
    assert!(text.starts_with("listen (flag --listen): the issuer is http") && text.contains("https issuer"), "{text}");
    assert_eq!(asked("http://localhost:8080", "127.0.0.1:8080,[::1]:8080"), "");
    assert_eq!(asked("https://login.example.com", "0.0.0.0:8080"), "", "a proxy in front speaks TLS");
}

#[test]
fn a_password_in_the_database_url_is_refused_and_shown_nowhere() {
    for url in [
        "postgres://opalid:hunter2@db/opalid",
        "postgres://opalid:hun@ter2/hunter2@db/opalid",
        "postgresql://db/opalid?user=a&password=hunter2",
    ] {
        let settings = settings("", &[ISSUER, ("OPALID_DATABASE", url)], &[]);
        let text = mistakes(&settings);
        assert!(text.starts_with("database (variable OPALID_DATABASE): expected a URL without a password"), "{text}");
        assert!(!text.contains("hunter2") && !settings.show().contains("ter2"), "{}", settings.show());
    }
}

#[test]
fn a_secret_comes_from_a_variable_or_a_file_and_is_never_shown() {
    let url = ("OPALID_DATABASE", "postgres://opalid@db/opalid");
    let set = settings("", &[ISSUER, url, ("OPALID_DATABASE_PASSWORD", "hunter2")], &[]);
    assert_eq!(set.config().unwrap().database_password.unwrap().expose(), "hunter2");
    assert!(
        set.show().contains("database_password = (set: env OPALID_DATABASE_PASSWORD)")
            && !set.show().contains("hunter2")
    );

    let path = std::env::temp_dir().join(format!("opalid-secret-{}", std::process::id()));
    std::fs::write(&path, "from file\n").unwrap();
    let variables = [ISSUER, url, ("OPALID_DATABASE_PASSWORD_FILE", path.to_str().unwrap())];
    let read = settings("", &variables, &[]).config().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read.database_password.unwrap().expose(), "from file");
    assert!(mistakes(&settings("", &variables, &[])).contains("cannot read"));
    let shown = settings("", &variables, &[]).show();
    assert!(shown.contains(&format!("database_password = (set: file {})", path.display())), "{shown}");
    let said = settings("master_key = { command = [\"vault\", \"hunter2\"] }\n", &[ISSUER], &[]).show();
    assert!(said.contains("master_key = (set: command vault)") && !said.contains("hunter2"), "{said}");
}

#[test]
fn mistakes_are_told_in_the_order_of_their_lines() {
    let file = "workers = 0\nbogus = 1\naudit_days = \"x\"\nlog_levl = 1\n";
    let told = mistaken(settings(file, &[], &[("listen", "nowhere")]).config().err().unwrap()).to_string();
    let at = |what: &str| told.find(what).unwrap_or_else(|| panic!("{what}: {told}"));
    let places =
        ["(opalid.toml:1)", "(opalid.toml:2)", "(opalid.toml:3)", "(opalid.toml:4)", "(flag --listen)"].map(at);
    assert!(places.is_sorted(), "{told}");
}

#[test]
fn a_secret_written_into_the_file_itself_is_refused() {
    let text = mistakes(&settings("master_key = \"hunter2\"\n", &[ISSUER], &[]));
    assert!(text.starts_with("master_key (opalid.toml:1): expected { env = \"NAME\" }"), "{text}");
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_secret_said_twice_missing_or_useless_is_refused() {
    let both = [ISSUER, ("OPALID_MASTER_KEY", "a"), ("OPALID_MASTER_KEY_FILE", "b")];
    assert!(mistakes(&settings("", &both, &[])).contains("set one of the two"));
    let missing = mistakes(&settings("master_key = { env = \"KEY\" }\n", &[ISSUER], &[]));
    assert_eq!(missing, "master_key (opalid.toml:1): the variable KEY is not set");
    let useless = mistakes(&settings("", &[ISSUER, ("OPALID_DATABASE_PASSWORD", "x")], &[]));
    assert!(useless.contains("database is sqlite"), "{useless}");
}

#[test]
fn a_certificate_needs_its_key() {
    let text = mistakes(&settings("tls = { certificate = \"c.pem\" }\n", &[ISSUER], &[]));
    assert!(text.contains("tls.key (default): tls.certificate is set"), "{text}");
}

#[test]
fn secrets_have_no_flag_and_every_other_key_has_one() {
    use clap::{Args as _, FromArgMatches as _};
    let command = || ConfigFlags::augment_args(clap::Command::new("serve"));
    let given = command().try_get_matches_from(["serve", "--log-format", "json", "--config", "a.toml"]).unwrap();
    let flags = ConfigFlags::from_arg_matches(&given).unwrap();
    assert_eq!(flags.values, HashMap::from([("log.format", "json".to_owned())]));
    assert_eq!(flags.file, Some("a.toml".into()));
    assert!(command().try_get_matches_from(["serve", "--master-key", "x"]).is_err());
    for key in keys::KEYS {
        assert_eq!(key.flag.is_none(), key.shape == keys::Shape::Secret, "{}", key.name);
        assert!(show::describe().contains(&format!("\n    Also: {}", key.variable())), "{}", key.name);
    }
}

#[test]
fn a_secret_whose_variable_is_empty_is_a_mistake_and_other_empty_variables_are_none() {
    let told = mistakes(&settings("", &[ISSUER, ("OPALID_MASTER_KEY", "")], &[]));
    assert!(told.contains("OPALID_MASTER_KEY") && told.contains("it is empty"), "{told}");
    assert_eq!(mistakes(&settings("", &[ISSUER, ("OPALID_DATA", "")], &[])), "");
}

#[test]
fn a_proxy_that_is_not_named_is_warned_of() {
    let warning = |more: &[(&str, &str)]| settings("", &[&[ISSUER], more].concat(), &[]).config().unwrap().warning();
    assert!(warning(&[]).is_some_and(|told| told.contains("trusted_proxies")));
    assert_eq!(warning(&[("OPALID_TRUSTED_PROXIES", "10.0.0.0/8")]), None);
    assert!(warning(&[("OPALID_TRUSTED_PROXIES", "::/0")]).is_some_and(|told| told.contains("names everybody")));
    assert_eq!(warning(&[("OPALID_TLS_CERTIFICATE", "/c"), ("OPALID_TLS_KEY", "/k")]), None);
    let local = settings("", &[("OPALID_ISSUER", "http://localhost:8080")], &[]).config().unwrap();
    assert_eq!(local.warning(), None);
}

#[test]
fn a_data_folder_is_named_by_whatever_sets_it_but_not_by_default() {
    let named = |sources| Settings::new(sources).names_data();
    assert!(!named(Sources::default()));
    let variable = [("OPALID_DATA".to_owned(), "/variable".to_owned())];
    assert!(named(Sources { environment: variable.into(), ..Sources::default() }));
    assert!(named(Sources { file: Some(("f".into(), "data = \"/file\"".into())), ..Sources::default() }));
    assert!(named(Sources { flags: [("data", "/flag".to_owned())].into(), ..Sources::default() }));
}

#[test]
fn a_misspelt_log_level_is_a_mistake() {
    let told = |level: &str| mistakes(&settings("", &[ISSUER, ("OPALID_LOG_LEVEL", level)], &[]));
    for good in ["info", "warn,opalid::http=debug", "OFF", "opalid=trace"] {
        assert_eq!(told(good), "", "{good}");
    }
    for wrong in ["loud", "info,opalid", "info,,", "opalid=loud"] {
        assert!(told(wrong).contains("expected error, warn"), "{wrong}");
    }
}
