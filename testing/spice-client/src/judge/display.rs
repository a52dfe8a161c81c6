//! A display channel: surfaces before streams, streams before pictures, keyframes first.

use std::collections::BTreeMap;
use std::time::Instant;

use scanout_spice::wire::display::{
    Codec, DisplayServerMessage, Rect, SURFACE_FORMAT_XRGB, StreamCreate, StreamData,
    SurfaceCreate, SurfaceFlags,
};
use scanout_spice::wire::link::{Capabilities, DisplayCap};

use super::{Fault, Verdict, base, malformed};
use crate::log::{Event, Picture};
use crate::pictures::{contents, only_begins_the_next};

/// Judges a display channel.
#[derive(Debug)]
pub struct DisplayJudge {
    caps: Capabilities,
    /// The client's INIT was sent.
    begun: bool,
    marked: bool,
    surfaces: BTreeMap<u32, SurfaceCreate>,
    streams: BTreeMap<u32, Stream>,
    created: u64,
    refused: Vec<Codec>,
}

#[derive(Debug)]
struct Stream {
    number: u64,
    surface: u32,
    codec: Codec,
    last_stamp: Option<u32>,
    /// What ends its first picture for stock clients has come by itself.
    first_ended: bool,
    refused: bool,
}

impl DisplayJudge {
    /// For a client with these capabilities.
    pub fn new(caps: Capabilities) -> Self {
        Self {
            caps,
            begun: false,
            marked: false,
            surfaces: BTreeMap::new(),
            streams: BTreeMap::new(),
            created: 0,
            refused: Vec::new(),
        }
    }

    /// The client has sent its INIT: the server may begin.
    pub fn begun(&mut self) {
        self.begun = true;
    }

    /// The client has said that it cannot decode this stream.
    pub fn refused(&mut self, stream_id: u32) {
        if let Some(stream) = self.streams.get_mut(&stream_id) {
            stream.refused = true;
            self.refused.push(stream.codec);
        }
    }

    pub(super) fn message(&mut self, kind: u16, body: &[u8], at: Instant) -> Verdict {
        let message = match DisplayServerMessage::decode(kind, body) {
            Ok(message) => message,
            Err(error) => return malformed(kind, error),
        };
        let mut faults = Vec::new();
        if !self.begun && !matches!(message, DisplayServerMessage::Base(_)) {
            faults.push(Fault::TooEarly { kind });
        }
        let event = match message {
            DisplayServerMessage::Base(message) => base(&message, &mut faults),
            DisplayServerMessage::Mark => {
                match self.primary() {
                    Some(_) => self.marked = true,
                    None => faults.push(Fault::MarkOfNothing),
                }
                Event::Mark
            }
            DisplayServerMessage::Reset => {
                self.streams.clear();
                self.surfaces.clear();
                self.marked = false;
                Event::Other(kind)
            }
            DisplayServerMessage::SurfaceCreate(surface) => self.surface(surface, &mut faults),
            DisplayServerMessage::SurfaceDestroy { surface_id } => {
                self.surface_gone(surface_id, &mut faults)
            }
            DisplayServerMessage::StreamCreate(stream) => self.stream(stream, &mut faults),
            DisplayServerMessage::StreamDestroy { stream_id } => {
                if self.streams.remove(&stream_id).is_none() {
                    faults.push(Fault::NoStream(stream_id));
                }
                Event::StreamDestroyed(stream_id)
            }
            DisplayServerMessage::StreamDestroyAll => {
                self.streams.clear();
                Event::StreamsDestroyed
            }
            DisplayServerMessage::StreamData(picture) => self.picture(picture, at, &mut faults),
            DisplayServerMessage::StreamDataSized(sized) => {
                self.announced(DisplayCap::SizedStream, kind, &mut faults);
                let picture = StreamData {
                    stream_id: sized.stream_id,
                    mm_time: sized.mm_time,
                    data: sized.data,
                };
                self.picture(picture, at, &mut faults)
            }
            DisplayServerMessage::StreamClip { stream_id, clip } => {
                self.live(stream_id, &mut faults);
                Event::StreamClipped(stream_id, clip)
            }
            DisplayServerMessage::MonitorsConfig { heads, .. } => {
                self.announced(DisplayCap::MonitorsConfig, kind, &mut faults);
                for head in &heads {
                    if !self.surfaces.contains_key(&head.surface_id) {
                        faults.push(Fault::NoSurface(head.surface_id));
                    }
                }
                Event::Monitors(heads)
            }
            DisplayServerMessage::StreamActivateReport {
                stream_id,
                unique_id,
                max_window_size,
                timeout_ms,
            } => {
                self.announced(DisplayCap::StreamReport, kind, &mut faults);
                self.live(stream_id, &mut faults);
                if max_window_size == 0 {
                    faults.push(Fault::Zero("the window of reports"));
                }
                Event::ReportWanted {
                    stream_id,
                    unique_id,
                    max_window_size,
                    timeout_ms,
                }
            }
            _ => Event::Other(kind),
        };
        Verdict { event, faults }
    }

    fn announced(&self, cap: DisplayCap, kind: u16, faults: &mut Vec<Fault>) {
        if !self.caps.has(cap) {
            faults.push(Fault::Unannounced { kind });
        }
    }

    fn live(&self, stream_id: u32, faults: &mut Vec<Fault>) {
        if !self.streams.contains_key(&stream_id) {
            faults.push(Fault::NoStream(stream_id));
        }
    }

    fn primary(&self) -> Option<u32> {
        let mut surfaces = self.surfaces.values();
        surfaces
            .find(|surface| surface.flags.contains(SurfaceFlags::PRIMARY))
            .map(|surface| surface.surface_id)
    }

    fn surface(&mut self, surface: SurfaceCreate, faults: &mut Vec<Fault>) -> Event {
        let SurfaceCreate {
            surface_id,
            width,
            height,
            format,
            flags,
        } = surface;
        if width == 0 || height == 0 || format != SURFACE_FORMAT_XRGB {
            faults.push(Fault::Surface {
                width,
                height,
                format,
            });
        }
        if flags.contains(SurfaceFlags::PRIMARY) {
            if let Some(first) = self.primary() {
                faults.push(Fault::SecondPrimary {
                    first,
                    second: surface_id,
                });
            }
            self.marked = false;
        }
        if self.surfaces.insert(surface_id, surface).is_some() {
            faults.push(Fault::SurfaceTwice(surface_id));
        }
        Event::SurfaceCreated(surface)
    }

    fn surface_gone(&mut self, surface_id: u32, faults: &mut Vec<Fault>) -> Event {
        let mut streams = self.streams.iter();
        if let Some((stream, _)) = streams.find(|(_, stream)| stream.surface == surface_id) {
            faults.push(Fault::SurfaceInUse {
                surface: surface_id,
                stream: *stream,
            });
        }
        if self.surfaces.remove(&surface_id).is_none() {
            faults.push(Fault::NoSurface(surface_id));
        }
        Event::SurfaceDestroyed(surface_id)
    }

    fn stream(&mut self, stream: StreamCreate, faults: &mut Vec<Fault>) -> Event {
        match self.surfaces.get(&stream.surface_id) {
            None => faults.push(Fault::NoSurface(stream.surface_id)),
            Some(surface) => {
                if let Some(what) = misplaced(&stream, surface) {
                    faults.push(Fault::StreamPlace {
                        stream: stream.id,
                        what,
                    });
                }
            }
        }
        // Without MULTI_CODEC a client is one of before there was a choice.
        let offered = match self.caps.has(DisplayCap::MultiCodec) {
            true => self.caps.has(stream.codec.capability()),
            false => stream.codec == Codec::Mjpeg,
        };
        if !offered {
            faults.push(Fault::CodecNotOffered {
                stream: stream.id,
                codec: stream.codec,
            });
        }
        if self.refused.contains(&stream.codec) {
            faults.push(Fault::CodecRefused {
                stream: stream.id,
                codec: stream.codec,
            });
        }
        let live = Stream {
            number: self.created,
            surface: stream.surface_id,
            codec: stream.codec,
            last_stamp: None,
            first_ended: false,
            refused: false,
        };
        self.created += 1;
        if self.streams.insert(stream.id, live).is_some() {
            faults.push(Fault::StreamTwice(stream.id));
        }
        Event::StreamCreated(stream)
    }

    fn picture(&mut self, picture: StreamData<'_>, at: Instant, faults: &mut Vec<Fault>) -> Event {
        let StreamData {
            stream_id,
            mm_time,
            data,
        } = picture;
        let Some(stream) = self.streams.get_mut(&stream_id) else {
            faults.push(Fault::NoStream(stream_id));
            return Event::Other(scanout_spice::wire::display::kind::STREAM_DATA);
        };
        let found = contents(stream.codec, data);
        if !self.marked {
            faults.push(Fault::NotMarked(stream_id));
        }
        if mm_time == 0 {
            faults.push(Fault::Zero("a stamp"));
        }
        // Once in a stream, after its first picture, which goes without.
        let ends_first = !stream.first_ended
            && stream.last_stamp.is_some()
            && only_begins_the_next(stream.codec, data);
        stream.first_ended |= ends_first;
        if !found.whole && !ends_first {
            faults.push(Fault::NoPicture {
                stream: stream_id,
                codec: stream.codec,
                size: data.len(),
            });
        }
        match stream.last_stamp.replace(mm_time) {
            None if !(found.keyframe && found.headers) => faults.push(Fault::FirstPicture {
                stream: stream_id,
                codec: stream.codec,
                keyframe: found.keyframe,
                headers: found.headers,
            }),
            // Stamps wrap after 49 days.
            Some(last) if (mm_time.wrapping_sub(last) as i32) < 0 => {
                faults.push(Fault::StampBackwards {
                    stream: stream_id,
                    last,
                    seen: mm_time,
                })
            }
            _ => {}
        }
        if ends_first {
            return Event::Other(scanout_spice::wire::display::kind::STREAM_DATA);
        }
        Event::Picture(Picture {
            stream_id,
            stream: stream.number,
            codec: stream.codec,
            mm_time,
            margin_ms: None,
            size: data.len(),
            keyframe: found.keyframe,
            closed: found.closed,
            refused: stream.refused,
            data: None,
            at,
        })
    }
}

/// What is wrong with a stream's sizes.
fn misplaced(stream: &StreamCreate, surface: &SurfaceCreate) -> Option<String> {
    let StreamCreate {
        stream_width,
        stream_height,
        src_width,
        src_height,
        dest,
        ..
    } = stream;
    if [*stream_width, *stream_height, *src_width, *src_height].contains(&0) {
        return Some(format!(
            "{stream_width}x{stream_height}, {src_width}x{src_height} of it shown"
        ));
    }
    if src_width > stream_width || src_height > stream_height {
        return Some(format!(
            "{src_width}x{src_height} of {stream_width}x{stream_height}"
        ));
    }
    let all = Rect::of_size(surface.width, surface.height);
    let inside =
        dest.left >= 0 && dest.top >= 0 && dest.right <= all.right && dest.bottom <= all.bottom;
    if !inside || dest.left >= dest.right || dest.top >= dest.bottom {
        return Some(format!(
            "{dest:?} on a surface of {}x{}",
            surface.width, surface.height
        ));
    }
    None
}
