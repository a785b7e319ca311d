//! Every key there is: what it is for, what it is without being set, and why.

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A list of texts; separated by commas in a variable or flag.
    List,
    /// A secret: `{ env = "X" }`, `{ file = "…" }` or `{ command = ["…"] }`; a variable of its own, or one with `_FILE` or
    /// `_COMMAND`; no flag.
    Secret,
}

/// What a key is when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// This, as it would be written in a variable.
    Is(&'static str),
    /// Nothing; this is what nothing means.
    Unset(&'static str),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in the file, with a dot between table and key.
    pub name: &'static str,
    /// Its flag without `--`; secrets have none, for every user of the machine can read a command line.
    pub flag: Option<&'static str>,
    /// What it takes.
    pub shape: Shape,
    /// What it is when nobody sets it.
    pub default: Default,
    /// What it decides.
    pub doc: &'static str,
    /// Why that is the default.
    pub why: &'static str,
}

impl Key {
    /// The key's environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("OPALID_{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// The key of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// All of them, in the order they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: "issuer",
        flag: Some("issuer"),
        shape: Shape::Text,
        default: Default::Unset("must be set; with --demo it is http://localhost and the port listened on"),
        doc: "The URL clients know this server by: https (http on loopback alone), without path, query or fragment.",
        why: "Clients compare it byte for byte, so it is never guessed from a request's Host header.",
    },
    Key {
        name: "listen",
        flag: Some("listen"),
        shape: Shape::List,
        default: Default::Is("localhost:8080"),
        doc: "Addresses to listen on; localhost means 127.0.0.1, and ::1 where there is one. [::] takes IPv6 only.",
        why: "Nothing is reachable from outside until somebody says so.",
    },
    Key {
        name: "data",
        flag: Some("data"),
        shape: Shape::Text,
        default: Default::Is("./opalid-data"),
        doc: "The folder of the SQLite database, the master key and the command socket; made with mode 0700.",
        why: "A first try needs no rights and leaves everything in one place.",
    },
    Key {
        name: "database",
        flag: Some("database"),
        shape: Shape::Text,
        default: Default::Is("sqlite"),
        doc: "sqlite (a file in the data folder) or postgres://user@host:port/name, without a password. To another machine \
              with TLS; ?sslmode=verify-full|disable and &sslrootcert=FILE decide otherwise.",
        why: "SQLite is durable and needs no second server.",
    },
    Key {
        name: "database_password",
        flag: None,
        shape: Shape::Secret,
        default: Default::Unset("no password"),
        doc: "The password of the PostgreSQL user.",
        why: "A URL is shown in logs and process lists; a password must not be.",
    },
    Key {
        name: "master_key",
        flag: None,
        shape: Shape::Secret,
        default: Default::Unset("the file master.key in the data folder, made at the first start"),
        doc: "The key that wraps all other keys in the store.",
        why: "A backup of the store without it mints nothing; a key kept elsewhere makes that true of the folder too.",
    },
    Key {
        name: "tls.certificate",
        flag: Some("tls-certificate"),
        shape: Shape::Text,
        default: Default::Unset("plain HTTP, for a proxy in front"),
        doc: "A PEM file with the certificate chain, the server's own first. Read again when it changes.",
        why: "Most servers stand behind a proxy that speaks TLS.",
    },
    Key {
        name: "tls.key",
        flag: Some("tls-key"),
        shape: Shape::Text,
        default: Default::Unset("plain HTTP, for a proxy in front"),
        doc: "A PEM file with the certificate's private key. Read again when it changes.",
        why: "As for tls.certificate.",
    },
    Key {
        name: "trusted_proxies",
        flag: Some("trusted-proxies"),
        shape: Shape::List,
        default: Default::Is(""),
        doc: "Addresses or networks (10.0.0.0/8) whose X-Forwarded-For is believed.",
        why: "Anybody can send that header; back-off per address is only as good as the address.",
    },
    Key {
        name: "metrics_listen",
        flag: Some("metrics-listen"),
        shape: Shape::Text,
        default: Default::Is("127.0.0.1:9090"),
        doc: "The address of /metrics, or off.",
        why: "Metrics tell how much goes on here; that is for operators, not for the public address.",
    },
    Key {
        name: "audit_days",
        flag: Some("audit-days"),
        shape: Shape::Number,
        default: Default::Is("90"),
        doc: "How many days the audit log (opalid events) reaches back; what is older is removed.",
        why: "Three months answer most questions; it names who did what, and grows with every sign-in.",
    },
    Key {
        name: "verifier_lease",
        flag: Some("verifier-lease"),
        shape: Shape::Number,
        default: Default::Is("5"),
        doc: "How many seconds a verifier may believe what it remembers without hearing from this server: 1 to 10.",
        why: "As long waits a revocation at most for a verifier that is lost, and as long goes a verifier on that lost us.",
    },
    Key {
        name: "workers",
        flag: Some("workers"),
        shape: Shape::Number,
        default: Default::Unset("one per core"),
        doc: "Threads that answer requests.",
        why: "Answering is bound by the processor; more threads than cores only take turns.",
    },
    Key {
        name: "log.format",
        flag: Some("log-format"),
        shape: Shape::Text,
        default: Default::Is("text"),
        doc: "text or json.",
        why: "A person sees the first start; a machine collects later ones.",
    },
    Key {
        name: "log.level",
        flag: Some("log-level"),
        shape: Shape::Text,
        default: Default::Is("info"),
        doc: "error, warn, info, debug or trace, also per module (info,opalid::http=debug).",
        why: "One line for what an operator must know, none per request.",
    },
];
