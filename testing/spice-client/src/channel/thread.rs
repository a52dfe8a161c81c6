//! The thread of a channel: writes what waits, reads at its pace, answers, records.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scanout_spice::wire::base::{BaseClientMessage, BaseServerMessage};
use scanout_spice::wire::frame::{MINI_HEADER_LEN, MiniHeader};
use scanout_spice::wire::link::ChannelType;

use super::{Clock, End, Pace, Shared, State};
use crate::Connection;
use crate::judge::{Judge, Verdict, Violation};
use crate::log::{Event, Record};
use crate::reports::{self, Reporter};

/// How long one read waits: so long may a command wait too.
const READ: Duration = Duration::from_millis(5);
/// How long a write may wait, for a server that does not read.
const WRITE: Duration = Duration::from_secs(10);
/// Bytes of one read.
const PART: usize = 256 << 10;
/// A slow reader reads what it may have had in this time at once, not more.
const BURST: Duration = Duration::from_millis(50);

pub(super) struct Worker {
    connection: Connection,
    channel: (ChannelType, u8),
    judge: Judge,
    reporter: Reporter,
    keep_pictures: bool,
    clock: Arc<Clock>,
    shared: Arc<Shared>,
    /// What was read and is no whole message yet.
    buffer: Vec<u8>,
    /// When the header at the start of `buffer` was there.
    began: Option<Instant>,
    number: u64,
    /// Window of acknowledgements, and messages until the next.
    ack: Option<(u32, u32)>,
    motions: u64,
    answers: Vec<u8>,
}

impl Worker {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one struct, given once"
    )]
    pub(super) fn new(
        connection: Connection,
        channel: (ChannelType, u8),
        judge: Judge,
        reporter: Reporter,
        keep_pictures: bool,
        first: Vec<u8>,
        clock: Arc<Clock>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            connection,
            channel,
            judge,
            reporter,
            keep_pictures,
            clock,
            shared,
            buffer: Vec::new(),
            began: None,
            number: 0,
            ack: None,
            motions: 0,
            answers: first,
        }
    }

    pub(super) fn run(mut self) {
        let end = self.work();
        self.connection.shutdown();
        self.shared.lock().end = Some(end);
        self.shared.changed.notify_all();
    }

    fn work(&mut self) -> End {
        if let Err(error) = self
            .connection
            .set_write_timeout(WRITE)
            .and(self.connection.set_read_timeout(READ))
        {
            return End::Failed(error.to_string());
        }
        // INIT is the first thing that is written, or nothing is to begin.
        if let (Judge::Display(judge), false) = (&mut self.judge, self.answers.is_empty()) {
            judge.begun();
        }
        let mut part = vec![0; PART];
        let (mut budget, mut last) = (0.0, Instant::now());
        loop {
            let answers = std::mem::take(&mut self.answers);
            let (outgoing, pace) = match self.commands(answers) {
                Ok(next) => next,
                Err(end) => return end,
            };
            if !outgoing.is_empty() {
                let log = &mut self.shared.lock().log;
                log.first_sent.get_or_insert_with(Instant::now);
            }
            for bytes in outgoing {
                if let Err(error) = self
                    .connection
                    .write_all(&bytes)
                    .and_then(|()| self.connection.flush())
                {
                    // What the server has sent before it closed is read first.
                    if !matches!(
                        error.kind(),
                        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                    ) {
                        return End::Failed(format!("writing: {error}"));
                    }
                }
            }
            let room = match pace {
                Pace::Free => PART,
                Pace::Stalled => 0,
                Pace::Slow(rate) => {
                    let rate = rate as f64;
                    budget = (budget + last.elapsed().as_secs_f64() * rate)
                        .min((rate * BURST.as_secs_f64()).max(1.0));
                    (budget as usize).min(PART)
                }
            };
            last = Instant::now();
            if room == 0 {
                let state = self.shared.lock();
                let _ = self.shared.changed.wait_timeout(state, READ);
                continue;
            }
            match self.connection.read(&mut part[..room]) {
                Ok(0) if self.buffer.is_empty() => return End::ServerClosed,
                Ok(0) => return End::Cut(self.buffer.len()),
                Ok(count) => {
                    budget -= count as f64;
                    self.buffer.extend_from_slice(&part[..count]);
                    if let Err(end) = self.messages(count as u64, Instant::now()) {
                        return end;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                // A TLS peer that closes without saying so.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                    ) =>
                {
                    return match self.buffer.len() {
                        0 => End::ServerClosed,
                        len => End::Cut(len),
                    };
                }
                Err(error) => return End::Failed(format!("reading: {error}")),
            }
        }
    }

    /// What is to be written, and the pace of reading.
    fn commands(&mut self, answers: Vec<u8>) -> Result<(Vec<Vec<u8>>, Pace), End> {
        let mut state = self.shared.lock();
        if state.close {
            return Err(End::Closed);
        }
        if let Judge::Inputs(judge) = &mut self.judge {
            for _ in self.motions..state.motions {
                judge.moved();
            }
            self.motions = state.motions;
        }
        state.queued = 0;
        let mut outgoing: Vec<_> = state.outgoing.drain(..).collect();
        if !answers.is_empty() {
            outgoing.insert(0, answers);
        }
        Ok((outgoing, state.pace))
    }

    /// Takes the whole messages off the front of what was read.
    fn messages(&mut self, read: u64, now: Instant) -> Result<(), End> {
        let mut taken = 0;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.log.bytes += read;
        loop {
            let rest = &self.buffer[taken..];
            if rest.len() < MINI_HEADER_LEN {
                break;
            }
            let header = match MiniHeader::from_server(rest, self.channel.0) {
                Ok(header) => header,
                Err(error) => {
                    let kind = u16::from_le_bytes([rest[0], rest[1]]);
                    self.violation(&mut state, kind, error.into());
                    return Err(End::Lost(error.to_string()));
                }
            };
            let began = *self.began.get_or_insert(now);
            let len = MINI_HEADER_LEN + header.size as usize;
            if rest.len() < len {
                self.buffer.reserve(len - rest.len());
                break;
            }
            let body = self.buffer[taken + MINI_HEADER_LEN..taken + len].to_vec();
            taken += len;
            self.began = None;
            self.message(&mut state, header.kind, &body, began, now);
        }
        self.buffer.drain(..taken);
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn violation(&self, state: &mut State, kind: u16, fault: crate::judge::Fault) {
        state.log.violation(Violation {
            channel_type: self.channel.0,
            channel_id: self.channel.1,
            message: self.number,
            kind,
            fault,
        });
    }

    fn message(&mut self, state: &mut State, kind: u16, body: &[u8], began: Instant, at: Instant) {
        // Before the message is looked at, as clients do: a SET_ACK is not counted by itself.
        if let Some((window, left)) = &mut self.ack {
            *left = left.saturating_sub(1);
            if *left == 0 {
                *left = *window;
                if state.acks {
                    BaseClientMessage::Ack.encode(&mut self.answers);
                    state.log.acks += 1;
                }
            }
        }
        self.answer(state, kind, body);
        let Verdict { mut event, faults } = self.judge.message(kind, body, at);
        for fault in faults {
            self.violation(state, kind, fault);
        }
        self.follow(state, &mut event, body, at);
        state.log.push(Record {
            number: self.number,
            began,
            at,
            event,
        });
        self.number += 1;
    }

    /// Answers what every channel has to answer.
    fn answer(&mut self, state: &State, kind: u16, body: &[u8]) {
        match BaseServerMessage::decode(kind, body) {
            Ok(BaseServerMessage::SetAck { generation, window }) => {
                self.ack = (window > 0).then_some((window, window));
                if state.acks {
                    BaseClientMessage::AckSync { generation }.encode(&mut self.answers);
                }
            }
            Ok(BaseServerMessage::Ping { id, timestamp, .. }) if state.pongs => {
                BaseClientMessage::Pong { id, timestamp }.encode(&mut self.answers);
            }
            _ => {}
        }
    }

    /// Keeps the clock and the reports up to the event.
    fn follow(&mut self, state: &mut State, event: &mut Event, body: &[u8], at: Instant) {
        let report = match event {
            Event::Session(init) => {
                self.clock.set(init.multi_media_time, at);
                if let Judge::Main(judge) = &mut self.judge {
                    judge.attached();
                }
                scanout_spice::wire::main::MainClientMessage::AttachChannels
                    .encode(&mut self.answers);
                None
            }
            Event::Clock(time) => {
                self.clock.set(*time, at);
                None
            }
            Event::StreamCreated(stream) => {
                let refusal = self.reporter.created(stream.id, stream.codec);
                if let (Some(_), Judge::Display(judge)) = (&refusal, &mut self.judge) {
                    judge.refused(stream.id);
                }
                refusal
            }
            Event::StreamDestroyed(id) => {
                self.reporter.destroyed(*id);
                None
            }
            Event::StreamsDestroyed => {
                self.reporter.all_destroyed();
                None
            }
            Event::ReportWanted {
                stream_id,
                unique_id,
                max_window_size,
                timeout_ms,
            } => {
                self.reporter
                    .wanted(*stream_id, *unique_id, *max_window_size, *timeout_ms);
                None
            }
            Event::Picture(picture) => {
                let margin = self
                    .clock
                    .at(at)
                    .map(|now| picture.mm_time.wrapping_sub(now) as i32);
                picture.margin_ms = margin;
                if self.keep_pictures {
                    picture.data = body.get(body.len() - picture.size..).map(<[u8]>::to_vec);
                }
                self.reporter
                    .picture(picture.stream_id, picture.mm_time, margin.unwrap_or(0), at)
            }
            _ => None,
        };
        if let Some(report) = report {
            state.log.reports += 1;
            self.answers.extend_from_slice(&reports::message(report));
        }
    }
}
