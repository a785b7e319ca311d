//! A reference on hyper alone: no router, one service function.

use super::Work;
use super::honest::Reply;
use anyhow::Result;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::borrow::Cow;
use tokio::net::TcpListener;

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, work: Work) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let work = work.clone();
        let service = service_fn(move |request| answer(work.clone(), request));
        tokio::spawn(async move {
            // A load generator that hangs up is no error of the server's.
            let _closed = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(work: Work, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let form = if work.reads_body() { body.collect().await?.to_bytes() } else { Bytes::new() };
    Ok(response(work.reply(&head.headers, &form)))
}

/// A reply on the wire; for axum too.
pub fn response<B: From<Bytes>>(reply: Reply) -> Response<B> {
    let body = match reply.body {
        Cow::Borrowed(fixed) => Bytes::from_static(fixed),
        Cow::Owned(made) => Bytes::from(made),
    };
    let mut response = Response::new(B::from(body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
