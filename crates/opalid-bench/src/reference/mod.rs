//! Servers that Opalid is measured beside: a constant answer, and the honest work of an introspection, each on bare
//! hyper and on axum; one runtime thread each.
//!
//! They are the yardstick of the budgets: they change only by a decision page.

mod axum_server;
mod honest;
mod hyper_server;
pub mod tokens;

use crate::http::request;
use crate::traffic::{Expect, PerToken, Tokens};
use anyhow::Result;
use clap::ValueEnum;
use honest::Ledger;
pub use honest::Reply;
pub use hyper_server::response;
use std::borrow::Cow;
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The reference servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reference {
    /// hyper, a constant answer.
    HyperBare,
    /// axum, a constant answer.
    AxumConstant,
    /// hyper, the honest work.
    HyperHonest,
    /// axum, the honest work.
    AxumHonest,
}

impl Reference {
    /// All of them, the simplest first.
    pub const ALL: [Self; 4] = [Self::HyperBare, Self::AxumConstant, Self::HyperHonest, Self::AxumHonest];

    /// Its name, which is also the subcommand that runs it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HyperBare => "hyper-bare",
            Self::AxumConstant => "axum-constant",
            Self::HyperHonest => "hyper-honest",
            Self::AxumHonest => "axum-honest",
        }
    }

    /// Whether it looks tokens up.
    pub const fn is_honest(self) -> bool {
        matches!(self, Self::HyperHonest | Self::AxumHonest)
    }

    fn work(self, entries: usize) -> Work {
        if self.is_honest() {
            Work::Honest(Arc::new(Ledger::with(entries)))
        } else {
            Work::Constant(honest::constant().leak())
        }
    }
}

/// What a server does for each request.
#[derive(Clone)]
enum Work {
    Constant(&'static [u8]),
    Honest(Arc<Ledger>),
}

impl Work {
    /// Whether the request's body is looked at.
    fn reads_body(&self) -> bool {
        matches!(self, Self::Honest(_))
    }

    fn reply(&self, headers: &http::HeaderMap, form: &[u8]) -> Reply {
        match self {
            Self::Constant(body) => Reply { status: 200, body: Cow::Borrowed(body) },
            Self::Honest(ledger) => {
                let authorization = headers.get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
                ledger.introspect(authorization, form)
            }
        }
    }
}

/// The line that says where a server listens, without the address.
pub const LISTENING: &str = "listening on ";

/// Serves until the process ends.
pub fn serve(reference: Reference, listen: SocketAddr, entries: usize) -> Result<()> {
    let work = reference.work(entries);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        let mut out = std::io::stdout();
        writeln!(out, "{LISTENING}{}", listener.local_addr()?)?;
        out.flush()?;
        match reference {
            Reference::HyperBare | Reference::HyperHonest => hyper_server::serve(listener, work).await,
            Reference::AxumConstant | Reference::AxumHonest => axum_server::serve(listener, work).await,
        }
    })
}

/// Introspections of the tokens that a reference knows; each must be active.
pub fn traffic(address: SocketAddr, tokens: Rc<Tokens>) -> Result<PerToken> {
    let basic = tokens::caller().basic();
    let template = |token: &str| {
        let form = request::form(&[("token", token)]);
        request::post(address, "/introspect", &[("Authorization", &basic)], &form)
    };
    PerToken::new(tokens, template, Expect::new(200, r#""active":true"#), false)
}
