//! `scanout serve`: a source as the screen of a machine, for SPICE clients.

mod address;
mod args;
mod connect;
mod front;
mod metrics;
mod offers;
mod player;
mod screen;
mod snapshot;
mod status;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use scanout::spice::stream::{GlStream, GlStreamConfig, GlStreamError};
use serde::Serialize;
use zeroize::Zeroizing;

pub(crate) use args::ServeArgs;
use args::WatchArgs;
use connect::{Entrance, Viewer};
use front::Front;
use metrics::Exporter;
use offers::{Offered, Offers};
use player::{Shown, Source};
use screen::Screen;
use snapshot::{Ended, Snapshot};
use status::Status;

use crate::cli::Context;
use crate::console::{Console, DIM, GOOD};
use crate::failure::{Exit, Failure};

/// Encoders are closed within this.
const STREAM_LIMIT: Duration = Duration::from_secs(5);

/// A source that is told to end ends within this, unless it is stuck in a pipe.
const SOURCE_LIMIT: Duration = Duration::from_secs(1);

/// A certificate of an authority has a few kilobytes.
const CA_BYTES: u64 = 1 << 20;

/// A line of `--json`: one when clients can come, one at the end.
#[derive(Serialize)]
struct Line<'a, T> {
    schema: u32,
    command: &'static str,
    event: &'static str,
    #[serde(flatten)]
    what: &'a T,
}

/// What is known when clients can come.
#[derive(Serialize)]
struct Listening {
    source: String,
    entrances: Vec<Entrance>,
    uris: Vec<String>,
    metrics: Option<String>,
    offers: Vec<Offered>,
    offers_s: f64,
}

/// All that runs.
struct Running {
    screen: Screen,
    front: Front,
    source: Source,
    _exporter: Option<Exporter>,
    begun: Instant,
}

pub(crate) fn run(args: &ServeArgs, context: &Context) -> Result<Exit, Failure> {
    // What is cheap to refuse comes first.
    let config = front::config(&args.listen, &args.clients, &args.source.name())?;
    let ca = read_ca(&args.watch)?;
    if let Some(address) = args.watch.metrics {
        metrics::check(address, args.watch.metrics_insecure)?;
    }
    let Some(source) = Source::open(&args.source, &args.play, &context.interrupt)? else {
        return Ok(Exit::Ok);
    };
    let offers = offers::offers(args, source.facts(), context)?;
    if context.interrupt.asked() {
        return Ok(Exit::Ok);
    }
    let mut stream = GlStreamConfig::new(offers.choices.clone());
    stream.bitrate = args.stream.bitrate;
    stream.max_fps = args.stream.max_fps;
    stream.effort = args.stream.effort;
    stream.threads = args.stream.threads;
    let stream = GlStream::start(stream).map_err(|e| stream_failure(&e))?;
    let viewers = stream.viewers();
    let screen = Screen::new(stream);
    let front = Front::start(config, viewers)?;
    let observe = observe(&screen, &front, source.shown());
    let exporter = match args.watch.metrics {
        Some(at) => Some(metrics::start(at, args.watch.metrics_insecure, observe)?),
        None => None,
    };
    let entrances = front.entrances();
    write_vv(args, &entrances, ca)?;
    source.begin(screen.clone());
    let running = Running {
        source,
        screen,
        front,
        begun: Instant::now(),
        _exporter: exporter,
    };
    let told = running.announce(args, context, entrances, &offers);
    let outcome = match told {
        Ok(()) => running.watch(context),
        Err(failure) => Err(failure),
    };
    running.end(outcome, context)
}

impl Running {
    fn snapshot(&self) -> Snapshot {
        snapshot(&self.screen, self.front.handle(), self.source.shown())
    }

    /// Says how to connect.
    fn announce(
        &self,
        args: &ServeArgs,
        context: &Context,
        entrances: Vec<Entrance>,
        offers: &Offers,
    ) -> Result<(), Failure> {
        let console = &context.console;
        let machine = connect::machine();
        let uris = entrances.iter().map(|e| e.uri(&machine)).collect();
        let exporter = self._exporter.as_ref();
        let listening = Listening {
            source: self.source.facts().description.clone(),
            entrances,
            uris,
            metrics: exporter.map(|e| format!("http://{}/metrics", e.address())),
            offers: offers.table.clone(),
            offers_s: offers.took.as_secs_f64(),
        };
        if console.is_json() {
            return line(console, "listening", &listening);
        }
        console.print(&listening.text(args, offers))
    }

    /// Shows what is going on until there is a reason to end.
    fn watch(&self, context: &Context) -> Result<(), Failure> {
        let mut status = Status::new(&context.console);
        let outcome = loop {
            if context.interrupt.sleep(status.interval()) || self.source.has_ended() {
                break Ok(());
            }
            if status.is_wanted() {
                status.show(&self.snapshot());
            }
        };
        status.clear();
        outcome
    }

    /// Ends it all: clients first, then the source, whose draws the stream answers.
    fn end(self, outcome: Result<(), Failure>, context: &Context) -> Result<Exit, Failure> {
        let snapshot = self.snapshot();
        let front = self.front.stop();
        self.source.stop();
        let stream = self.screen.stop(STREAM_LIMIT);
        let played = self.source.join(SOURCE_LIMIT);
        let ended = snapshot.summary(self.begun.elapsed().as_secs_f64());
        let told = if context.console.is_json() {
            line(&context.console, "stopped", &ended)
        } else {
            context.console.print(&Ended::text(&ended))
        };
        // What ended it is what to report.
        outcome?;
        played?;
        front?;
        stream.map_err(|e| stream_failure(&e))?;
        // The terminal that closed takes no report.
        if !context.interrupt.asked() {
            told?;
        }
        Ok(Exit::Ok)
    }
}

impl Listening {
    fn text(&self, args: &ServeArgs, offers: &Offers) -> String {
        use std::fmt::Write as _;
        let mut text = format!("  {}\n\n{}\n", self.source, offers.text());
        // Writing to a string does not fail.
        for (entrance, uri) in self.entrances.iter().zip(&self.uris) {
            let ca = match (entrance, &args.watch.vv_ca) {
                (Entrance::Tls { .. }, Some(ca)) => format!("--spice-ca-file={} ", ca.display()),
                (Entrance::Tls { .. }, None) => "--spice-ca-file=AUTHORITY.pem ".to_owned(),
                _ => String::new(),
            };
            let _ = writeln!(text, "  {GOOD}connect{GOOD:#}  remote-viewer {ca}'{uri}'");
        }
        if let Some(path) = &args.watch.write_vv {
            let _ = writeln!(
                text,
                "  {GOOD}or{GOOD:#}       remote-viewer {}",
                path.display()
            );
        }
        if let Some(metrics) = &self.metrics {
            let _ = writeln!(text, "  {GOOD}metrics{GOOD:#}  {metrics}");
        }
        if args.listen.insecure_plaintext && !self.entrances.iter().all(Entrance::is_local) {
            let _ = writeln!(
                text,
                "  {DIM}plain text over a network: the picture and all that is typed can be read on the way{DIM:#}"
            );
        }
        text
    }
}

/// One line of JSON: a program reads them as they come.
fn line(console: &Console, event: &'static str, what: &impl Serialize) -> Result<(), Failure> {
    let line = Line {
        schema: Console::SCHEMA,
        command: "serve",
        event,
        what,
    };
    let mut json = serde_json::to_string(&line)
        .map_err(|error| Failure::new(Exit::Internal, format_args!("writing JSON: {error}")))?;
    json.push('\n');
    console.print(&json)
}

fn observe(screen: &Screen, front: &Front, shown: &Arc<Shown>) -> metrics::Observe {
    let (screen, handle, shown) = (screen.clone(), front.handle().clone(), Arc::clone(shown));
    Arc::new(move || snapshot(&screen, &handle, &shown))
}

fn snapshot(screen: &Screen, server: &front::Handle, shown: &Shown) -> Snapshot {
    Snapshot {
        stream: screen.stats(),
        server: server.stats(),
        source_frames: shown.frames.load(Ordering::Relaxed),
        source_ended: shown.ended.load(Ordering::Relaxed),
    }
}

fn read_ca(args: &WatchArgs) -> Result<Option<String>, Failure> {
    let Some(path) = &args.vv_ca else {
        return Ok(None);
    };
    let bad = |why: &dyn std::fmt::Display| {
        Failure::usage(format_args!("--vv-ca {}: {why}", path.display()))
    };
    let there = fs::metadata(path).map_err(|e| bad(&crate::failure::reason(&e)))?;
    if !there.is_file() || there.len() > CA_BYTES {
        return Err(bad(&"no file of certificates"));
    }
    let text = fs::read_to_string(path).map_err(|e| bad(&crate::failure::reason(&e)))?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(bad(&"there is no certificate in it (PEM)"));
    }
    Ok(Some(text))
}

fn write_vv(args: &ServeArgs, entrances: &[Entrance], ca: Option<String>) -> Result<(), Failure> {
    let Some(path) = &args.watch.write_vv else {
        return Ok(());
    };
    let password = match &args.listen.password_file {
        Some(file) if args.watch.vv_password => Some(password(file)?),
        _ => None,
    };
    let viewer = Viewer {
        title: &args
            .clients
            .name
            .clone()
            .unwrap_or_else(|| args.source.name()),
        password,
        ca,
    };
    match connect::vv(entrances, &connect::machine(), &viewer) {
        Some(text) => connect::write_private(path, &text),
        None => Err(Failure::new(Exit::Internal, "there is no way in")),
    }
}

/// The first line of a file that the server has found to be good.
fn password(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let unread = |why: &dyn std::fmt::Display| {
        Failure::usage(format_args!("--password-file {}: {why}", file.display()))
    };
    let bytes = fs::read(file).map_err(|e| unread(&crate::failure::reason(&e)))?;
    let text = Zeroizing::new(String::from_utf8(bytes).map_err(|_| {
        unread(&"--vv-password: the password is not UTF-8, which such a file has to be")
    })?);
    let first = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(first.to_owned()))
}

fn stream_failure(error: &GlStreamError) -> Failure {
    let exit = match error {
        GlStreamError::StopTimedOut { .. } => Exit::Encoder,
        _ => Exit::Internal,
    };
    Failure::new(exit, error)
}
