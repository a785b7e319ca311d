//! Where a PostgreSQL is, and whether TLS leads there.
//!
//! Holds: to another machine there is TLS with a certificate that is checked, unless the URL itself says
//! `sslmode=disable`; what only looks like protection (`prefer`, `require`) is refused.

use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect::CONNECT_WITHIN;
use super::node;
use crate::error::StoreError;
use crate::leases::Leases;

/// A database by its URL, and what it takes to get there.
#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("config", &self.config).field("tls", &self.tls.is_some()).finish()
    }
}

/// What a URL says of TLS.
#[derive(Debug, Default)]
struct Asked {
    /// Whether there shall be TLS; the host decides if the URL does not.
    tls: Option<bool>,
    /// The file of the authorities that are believed; the system's if absent.
    roots: Option<String>,
}

impl Address {
    /// Reads a database URL. A password in it is refused: it would show in the list of processes.
    pub(crate) fn parse(url: &str, password: Option<&str>) -> Result<Self, StoreError> {
        let (url, asked) = take_tls(url)?;
        let mut config: Config = url.parse().map_err(|error: Error| {
            let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            StoreError::Refused(format!("the database is not a URL as postgres://user@host:port/name{why}"))
        })?;
        if config.get_ssl_mode() != SslMode::Prefer {
            return Err(refused("sslmode in the database URL has to be spelled plainly"));
        }
        if config.get_password().is_some() {
            return Err(refused("the database URL holds a password; give it through a file or a variable of its own"));
        }
        if let Some(password) = password {
            config.password(password);
        }
        let wanted = asked.tls.unwrap_or_else(|| !stays_here(&config));
        if !wanted && asked.roots.is_some() {
            return Err(refused("sslrootcert in the database URL is of use only with sslmode=verify-full"));
        }
        if wanted && config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_))) {
            return Err(refused("sslmode=verify-full in the database URL: a socket has no name to check"));
        }
        let tls = if wanted { Some(connector(asked.roots.as_deref())?) } else { None };
        config
            .ssl_mode(if wanted { SslMode::Require } else { SslMode::Disable })
            .application_name("opalid")
            .connect_timeout(CONNECT_WITHIN)
            .keepalives_idle(Duration::from_secs(5))
            .tcp_user_timeout(Duration::from_secs(5))
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config, tls })
    }

    /// Where it is, for people.
    pub(super) fn places(&self) -> String {
        let port = |at: usize| {
            let ports = self.config.get_ports();
            ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432)
        };
        let place = |(at, host): (usize, &Host)| match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", port(at)),
            Host::Tcp(name) => format!("{name}:{}", port(at)),
            Host::Unix(folder) => format!("the socket in {}, port {}", folder.display(), port(at)),
        };
        let places: Vec<String> = self.config.get_hosts().iter().enumerate().map(place).collect();
        if places.is_empty() { "localhost:5432".into() } else { places.join(" or ") }
    }

    /// The names of the role and of the database.
    pub(super) fn role_and_database(&self) -> (&str, &str) {
        let role = self.config.get_user().unwrap_or("of this operating-system user");
        (role, self.config.get_dbname().unwrap_or(role))
    }

    /// Connects. `place` is given back when the connection has ended: with its client, or with its server. `ear` hears what comes
    /// unasked.
    pub(super) async fn connect(&self, place: OwnedSemaphorePermit, ear: Option<Ear>) -> Result<Client, Error> {
        if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await?;
            tokio::spawn(talk(connection, place, ear));
            return Ok(client);
        }
        let (client, connection) = self.config.connect(NoTls).await?;
        tokio::spawn(talk(connection, place, ear));
        Ok(client)
    }
}

/// Who is woken by what other nodes say.
#[derive(Clone)]
pub(super) struct Ear {
    pub wake: Arc<Notify>,
    pub leases: Arc<Leases>,
}

async fn talk<S, T>(mut connection: Connection<S, T>, place: OwnedSemaphorePermit, ear: Option<Ear>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
        if let (AsyncMessage::Notification(said), Some(ear)) = (message, &ear)
            && said.payload() != node::name(ear.leases.own())
        {
            ear.wake.notify_one();
        }
    }
    drop(place);
}

/// Modes that others know, and that keep nobody out who can answer in the server's place.
const WEAK: [&str; 4] = ["prefer", "require", "allow", "verify-ca"];

fn refused(why: &str) -> StoreError {
    StoreError::Refused(why.into())
}

/// Takes what is said of TLS out of a URL.
fn take_tls(url: &str) -> Result<(String, Asked), StoreError> {
    let mut asked = Asked::default();
    let Some((head, query)) = url.split_once('?') else { return Ok((url.into(), asked)) };
    let mut others = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("sslmode", _) if asked.tls.is_some() => return Err(refused("the database URL says sslmode twice")),
            ("sslmode", "disable") => asked.tls = Some(false),
            ("sslmode", "verify-full") => asked.tls = Some(true),
            ("sslmode", other) if !WEAK.contains(&other) => {
                return Err(StoreError::Refused(format!(
                    "sslmode={other} in the database URL is none there is: use verify-full, or disable where nobody can \
                     listen in between"
                )));
            }
            ("sslmode", other) => {
                return Err(StoreError::Refused(format!(
                    "sslmode={other} in the database URL keeps nobody from listening in between: use verify-full, \
                     or disable where nobody can"
                )));
            }
            ("sslrootcert", path) => asked.roots = Some(path.into()),
            _ => others.push(pair),
        }
    }
    let url = if others.is_empty() { head.to_owned() } else { format!("{head}?{}", others.join("&")) };
    Ok((url, asked))
}

/// Whether what is sent never leaves this machine.
fn stays_here(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
    })
}

/// Speaks TLS, and believes these authorities alone.
fn connector(roots: Option<&str>) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| StoreError::Refused(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(authorities(roots)?)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(path: Option<&str>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = path else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let why = "this system has no certificates of authorities; name a file by sslrootcert in the database URL";
            return Err(refused(why));
        }
        return Ok(roots);
    };
    let useless = |why: &dyn fmt::Display| {
        StoreError::Refused(format!("sslrootcert in the database URL: {path} holds no certificates in PEM form: {why}"))
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| useless(&error))? {
        let certificate = certificate.map_err(|error| useless(&error))?;
        roots.add(certificate).map_err(|error| useless(&error))?;
    }
    if roots.is_empty() { Err(useless(&"it is empty")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_tls(url: &str) -> Result<bool, String> {
        let address = Address::parse(url, None).map_err(|error| error.to_string())?;
        assert_eq!(address.tls.is_some(), address.config.get_ssl_mode() == SslMode::Require, "{url}");
        Ok(address.tls.is_some())
    }

    #[test]
    fn a_password_in_the_url_is_refused() {
        let refused = Address::parse("postgres://opalid:secret@localhost/opalid", None).unwrap_err();
        assert!(matches!(&refused, StoreError::Refused(why) if !why.contains("secret")), "{refused}");
        let address = Address::parse("postgres://opalid@localhost/opalid", Some("secret")).unwrap();
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[test]
    fn only_what_stays_on_this_machine_goes_without_tls_unasked() {
        let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/src/conformance/tls/authority.pem");
        for here in ["localhost", "127.0.0.1:5432", "127.9.9.9", "[::1]:5432", "%2Frun%2Fpostgresql"] {
            assert_eq!(is_tls(&format!("postgres://opalid@{here}/opalid")), Ok(false), "{here}");
        }
        for elsewhere in ["db.example", "10.0.0.7:5432", "localhost.example", "localhost,db.example", "[fd00::1]"] {
            let url = format!("postgres://opalid@{elsewhere}/opalid?sslrootcert={roots}");
            assert_eq!(is_tls(&url), Ok(true), "{elsewhere}");
            let url = format!("postgres://opalid@{elsewhere}/opalid?sslmode=disable&connect_timeout=2");
            assert_eq!(is_tls(&url), Ok(false), "{elsewhere}");
        }
        // A name that says here and an address that does not.
        let url = format!("postgres://opalid@localhost/opalid?hostaddr=10.0.0.7&sslrootcert={roots}");
        assert_eq!(is_tls(&url), Ok(true));
        assert_eq!(is_tls(&format!("postgres://opalid@localhost/x?sslmode=verify-full&sslrootcert={roots}")), Ok(true));
    }

    #[test]
    fn what_only_looks_like_protection_is_refused_with_a_reason() {
        let why = |query: &str| is_tls(&format!("postgres://opalid@localhost/opalid?{query}")).unwrap_err();
        for mode in ["prefer", "require", "allow", "verify-ca", ""] {
            assert!(why(&format!("sslmode={mode}")).contains("use verify-full"), "{mode}");
        }
        assert!(why("sslmode=verify_full").contains("is none there is: use verify-full, or disable"));
        // The same in another spelling, which goes on to the next parser.
        assert!(why("ssl%6Dode=require").contains("sslmode"));
        assert!(why("sslmode=disable&sslmode=verify-full").contains("twice"));
        assert!(why("sslmode=disable&sslrootcert=/a").contains("only with sslmode=verify-full"));
        assert!(why("sslmode=verify-full&sslrootcert=/nowhere.pem").contains("/nowhere.pem"));
        let empty = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(why(&format!("sslmode=verify-full&sslrootcert={empty}")).contains("holds no certificates"));
        let socket = is_tls("postgres://opalid@%2Frun%2Fpostgresql/opalid?sslmode=verify-full");
        assert!(socket.unwrap_err().contains("a socket has no name"));
    }
}
