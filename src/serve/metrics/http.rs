//! A page at `/metrics`, on a thread of its own: nothing that a scraper does
//! reaches clients or the source.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use crate::failure::{self, Exit, Failure};

/// Scrapers at a time; a further one is hung up on.
const CONNECTIONS: usize = 8;

/// A request's head comes, and a whole connection ends, within these.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const CONNECTION_LIMIT: Duration = Duration::from_secs(15);

/// A request's head has a few hundred bytes; the least that the library takes is 8 KiB.
const HEAD_BYTES: usize = 16 * 1024;

/// What Prometheus asks for.
const TEXT: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Makes the page.
pub(super) type Page = Arc<dyn Fn() -> String + Send + Sync>;

/// The page is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Exporter {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Exporter {
    /// Listens on `address` and starts the thread.
    pub(super) fn start(address: SocketAddr, page: Page) -> Result<Self, Failure> {
        let refused = |cause: &std::io::Error| {
            Failure::new(
                Exit::Listen,
                format_args!("--metrics {address}: {}", failure::reason(cause)),
            )
            .hint("port 0 takes a free one")
        };
        let internal = |what: &str, cause: &std::io::Error| {
            Failure::new(Exit::Internal, format_args!("{what}: {cause}"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| internal("starting the metrics", &e))?;
        let listener = runtime
            .block_on(TcpListener::bind(address))
            .map_err(|e| refused(&e))?;
        let address = listener.local_addr().map_err(|e| refused(&e))?;
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("scanout-metrics".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, page) => {}
                        // Told, or the sender is gone: both are the end.
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_background();
            })
            .map_err(|e| internal("starting the metrics' thread", &e))?;
        Ok(Self {
            address,
            _stop: stop,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, page: Page) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: it passes or it does not.
                tracing::warn!(%error, "a scraper could not be let in");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!(limit = CONNECTIONS, "too many scrapers at a time");
            continue;
        };
        let page = Arc::clone(&page);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&request, &page);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .max_buf_size(HEAD_BYTES)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            match tokio::time::timeout(CONNECTION_LIMIT, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a scraper's connection"),
                Err(_) => tracing::debug!("a scraper took too long"),
            }
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, page: &Page) -> Response<Full<Bytes>> {
    let with = |status, kind, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "GET or HEAD\n".to_owned();
        let mut response = with(StatusCode::METHOD_NOT_ALLOWED, PLAIN, text);
        let methods = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, methods);
        return response;
    }
    match request.uri().path() {
        "/metrics" => with(StatusCode::OK, TEXT, page()),
        _ => with(
            StatusCode::NOT_FOUND,
            PLAIN,
            "metrics are at /metrics\n".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn exporter() -> Exporter {
        let page: Page = Arc::new(|| "scanout_up 1\n".to_owned());
        Exporter::start("127.0.0.1:0".parse().unwrap(), page).unwrap()
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let _ = stream.write_all(request.as_bytes());
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    }

    #[test]
    fn the_page_is_there_and_nothing_else() {
        let exporter = exporter();
        let at = exporter.address();
        let page = ask(at, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(
            page.starts_with("HTTP/1.1 200") && page.ends_with("scanout_up 1\n"),
            "{page}"
        );
        assert!(page.contains("application/openmetrics-text"), "{page}");
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
            ("GET /metrics/../x HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
            (
                "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                "405",
            ),
            ("nonsense\r\n\r\n", "400"),
        ] {
            let text = ask(at, request);
            assert!(
                text.starts_with(&format!("HTTP/1.1 {status}")),
                "{request}: {text}"
            );
        }
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(64 * 1024));
        let text = ask(at, &long);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }

    #[test]
    fn silent_peers_take_no_more_than_their_places() {
        let exporter = exporter();
        let silent: Vec<_> = (0..CONNECTIONS)
            .map(|_| TcpStream::connect(exporter.address()).unwrap())
            .collect();
        // Places are given in the order of arrival.
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(ask(exporter.address(), request), "");
        drop(silent);
        let begun = std::time::Instant::now();
        while !ask(exporter.address(), request).starts_with("HTTP/1.1 200") {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn it_stops_listening_when_it_is_dropped() {
        let exporter = exporter();
        let at = exporter.address();
        drop(exporter);
        let begun = std::time::Instant::now();
        while TcpStream::connect(at).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
