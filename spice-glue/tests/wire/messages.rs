//! One message of each kind, its numbers taken from random bytes.

use scanout_spice::wire::base::{
    BaseClientMessage, BaseServerMessage, ChannelWait, Notice, Severity,
};
use scanout_spice::wire::cursor::{
    CursorHeader, CursorServerMessage, CursorShape, CursorType, Point16,
};
use scanout_spice::wire::display::{
    Clip, Codec, DisplayClientMessage, DisplayInit, DisplayServerMessage, Head, Rect, StreamCreate,
    StreamData, StreamDataSized, StreamFlags, StreamReport, SurfaceCreate, SurfaceFlags,
};
use scanout_spice::wire::inputs::{
    Buttons, InputsClientMessage, InputsServerMessage, KeyModifiers, MouseButton,
};
use scanout_spice::wire::link::{
    Capabilities, ChannelType, LinkError, LinkMessage, LinkReply, PUBLIC_KEY_LEN,
};
use scanout_spice::wire::main::{
    ChannelId, MainClientMessage, MainInit, MainServerMessage, MouseModes,
};

/// A source of numbers; zeros after its end.
pub(crate) struct Numbers<'a>(pub(crate) &'a [u8]);

impl Numbers<'_> {
    pub(crate) fn u8(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.u32() % bound
    }

    fn channel(&mut self) -> ChannelType {
        ChannelType::from_wire(self.u8())
    }

    fn error(&mut self) -> LinkError {
        LinkError::ALL[self.below(10) as usize]
    }

    fn modes(&mut self) -> MouseModes {
        MouseModes::from_bits_retain(self.u16())
    }

    fn rect(&mut self) -> Rect {
        Rect {
            top: self.u32() as i32,
            left: self.u32() as i32,
            bottom: self.u32() as i32,
            right: self.u32() as i32,
        }
    }

    fn clip(&mut self) -> Clip {
        match self.below(4) {
            0 => Clip::None,
            n => Clip::Rects((1..n).map(|_| self.rect()).collect()),
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(7)).map(|_| item(self)).collect()
    }
}

/// How many kinds [`base_server`] has; likewise for the rest.
pub(crate) const BASE_SERVER: u32 = 6;

pub(crate) fn base_server<'a>(
    which: u32,
    n: &mut Numbers<'_>,
    data: &'a [u8],
) -> BaseServerMessage<'a> {
    match which {
        0 => BaseServerMessage::SetAck {
            generation: n.u32(),
            window: n.u32(),
        },
        1 => BaseServerMessage::Ping {
            id: n.u32(),
            timestamp: n.u64(),
            data,
        },
        2 => BaseServerMessage::WaitForChannels(n.list(|n| ChannelWait {
            channel_type: n.channel(),
            channel_id: n.u8(),
            message_serial: n.u64(),
        })),
        3 => BaseServerMessage::Disconnecting {
            timestamp: n.u64(),
            reason: n.error(),
        },
        4 => BaseServerMessage::Notify(Notice {
            timestamp: n.u64(),
            severity: [Severity::Info, Severity::Warn, Severity::Error][n.below(3) as usize],
            visibility: n.u32(),
            what: n.u32(),
            message: data,
        }),
        _ => BaseServerMessage::Unknown {
            kind: 4000 + n.u16() % 1000,
            size: data.len(),
        },
    }
}

pub(crate) const BASE_CLIENT: u32 = 5;

pub(crate) fn base_client(which: u32, n: &mut Numbers<'_>, data: &[u8]) -> BaseClientMessage {
    match which {
        0 => BaseClientMessage::AckSync {
            generation: n.u32(),
        },
        1 => BaseClientMessage::Ack,
        2 => BaseClientMessage::Pong {
            id: n.u32(),
            timestamp: n.u64(),
        },
        3 => BaseClientMessage::Disconnecting {
            timestamp: n.u64(),
            reason: n.u32(),
        },
        _ => BaseClientMessage::Unknown {
            kind: 50 + n.u16() % 50,
            size: data.len(),
        },
    }
}

pub(crate) const MAIN_SERVER: u32 = 12;

pub(crate) fn main_server<'a>(
    which: u32,
    n: &mut Numbers<'_>,
    data: &'a [u8],
) -> MainServerMessage<'a> {
    match which {
        0 => MainServerMessage::Init(MainInit {
            session_id: n.u32(),
            display_channels_hint: n.u32(),
            supported_mouse_modes: n.modes(),
            current_mouse_mode: n.modes(),
            agent_connected: n.u8() & 1 != 0,
            agent_tokens: n.u32(),
            multi_media_time: n.u32(),
            ram_hint: n.u32(),
        }),
        1 => MainServerMessage::ChannelsList(n.list(|n| ChannelId {
            channel_type: n.channel(),
            id: n.u8(),
        })),
        2 => MainServerMessage::MouseMode {
            supported: n.modes(),
            current: n.modes(),
        },
        3 => MainServerMessage::MultiMediaTime(n.u32()),
        4 => MainServerMessage::AgentConnected,
        5 => MainServerMessage::AgentDisconnected(n.error()),
        6 => MainServerMessage::AgentData(data),
        7 => MainServerMessage::AgentToken(n.u32()),
        8 => MainServerMessage::Name(data),
        9 => MainServerMessage::Uuid(std::array::from_fn(|_| n.u8())),
        10 => MainServerMessage::AgentConnectedTokens(n.u32()),
        _ => MainServerMessage::Base(base_server(n.below(BASE_SERVER), n, data)),
    }
}

pub(crate) const MAIN_CLIENT: u32 = 8;

pub(crate) fn main_client<'a>(
    which: u32,
    n: &mut Numbers<'_>,
    data: &'a [u8],
) -> MainClientMessage<'a> {
    match which {
        0 => MainClientMessage::ClientInfo {
            cache_size: n.u64(),
        },
        1 => MainClientMessage::AttachChannels,
        2 => MainClientMessage::MouseModeRequest(n.modes()),
        3 => MainClientMessage::AgentStart { tokens: n.u32() },
        4 => MainClientMessage::AgentData(data),
        5 => MainClientMessage::AgentToken { tokens: n.u32() },
        6 => MainClientMessage::Unknown {
            kind: 109 + n.u16() % 9,
            size: data.len(),
        },
        _ => MainClientMessage::Base(base_client(n.below(BASE_CLIENT), n, data)),
    }
}

pub(crate) const DISPLAY_SERVER: u32 = 14;

pub(crate) fn display_server<'a>(
    which: u32,
    n: &mut Numbers<'_>,
    data: &'a [u8],
) -> DisplayServerMessage<'a> {
    match which {
        0 => DisplayServerMessage::Mode {
            x_res: n.u32(),
            y_res: n.u32(),
            bits: n.u32(),
        },
        1 => DisplayServerMessage::Mark,
        2 => DisplayServerMessage::Reset,
        3 => DisplayServerMessage::StreamCreate(StreamCreate {
            surface_id: n.u32(),
            id: n.below(64),
            flags: StreamFlags::from_bits_retain(n.u8()),
            codec: Codec::ALL[n.below(5) as usize],
            stamp: n.u64(),
            stream_width: n.u32(),
            stream_height: n.u32(),
            src_width: n.u32(),
            src_height: n.u32(),
            dest: n.rect(),
            clip: n.clip(),
        }),
        4 => DisplayServerMessage::StreamData(StreamData {
            stream_id: n.below(64),
            mm_time: n.u32(),
            data,
        }),
        5 => DisplayServerMessage::StreamDataSized(StreamDataSized {
            stream_id: n.below(64),
            mm_time: n.u32(),
            width: n.u32(),
            height: n.u32(),
            dest: n.rect(),
            data,
        }),
        6 => DisplayServerMessage::StreamClip {
            stream_id: n.below(64),
            clip: n.clip(),
        },
        7 => DisplayServerMessage::StreamDestroy {
            stream_id: n.below(64),
        },
        8 => DisplayServerMessage::StreamDestroyAll,
        9 => DisplayServerMessage::SurfaceCreate(SurfaceCreate {
            surface_id: n.u32(),
            width: n.u32(),
            height: n.u32(),
            format: n.u32(),
            flags: SurfaceFlags::from_bits_retain(n.u32()),
        }),
        10 => DisplayServerMessage::SurfaceDestroy {
            surface_id: n.u32(),
        },
        11 => DisplayServerMessage::MonitorsConfig {
            max_allowed: n.u16(),
            heads: n.list(|n| Head {
                monitor_id: n.u32(),
                surface_id: n.u32(),
                width: n.u32(),
                height: n.u32(),
                x: n.u32(),
                y: n.u32(),
                flags: n.u32(),
            }),
        },
        12 => DisplayServerMessage::StreamActivateReport {
            stream_id: n.below(64),
            unique_id: n.u32(),
            max_window_size: n.u32(),
            timeout_ms: n.u32(),
        },
        _ => DisplayServerMessage::Base(base_server(n.below(BASE_SERVER), n, data)),
    }
}

pub(crate) const DISPLAY_CLIENT: u32 = 7;

pub(crate) fn display_client<'a>(
    which: u32,
    n: &mut Numbers<'_>,
    data: &'a [u8],
) -> DisplayClientMessage<'a> {
    match which {
        0 => DisplayClientMessage::Init(DisplayInit {
            pixmap_cache_id: n.u8(),
            pixmap_cache_size: n.u64() as i64,
            glz_dictionary_id: n.u8(),
            glz_dictionary_window_size: n.u32() as i32,
        }),
        1 => DisplayClientMessage::StreamReport(StreamReport {
            stream_id: n.u32(),
            unique_id: n.u32(),
            start_frame_mm_time: n.u32(),
            end_frame_mm_time: n.u32(),
            num_frames: n.u32(),
            num_drops: n.u32(),
            last_frame_delay: n.u32() as i32,
            audio_delay: n.u32(),
        }),
        2 => DisplayClientMessage::PreferredCompression(n.u8()),
        3 => DisplayClientMessage::GlDrawDone,
        4 => DisplayClientMessage::PreferredVideoCodecType(&data[..data.len().min(255)]),
        5 => DisplayClientMessage::Unknown {
            kind: 106 + n.u16() % 1000,
            size: data.len(),
        },
        _ => DisplayClientMessage::Base(base_client(n.below(BASE_CLIENT), n, data)),
    }
}

pub(crate) const INPUTS_SERVER: u32 = 4;

pub(crate) fn inputs_server<'a>(
    which: u32,
    n: &mut Numbers<'_>,
    data: &'a [u8],
) -> InputsServerMessage<'a> {
    match which {
        0 => InputsServerMessage::Init(KeyModifiers::from_bits_retain(n.u16())),
        1 => InputsServerMessage::KeyModifiers(KeyModifiers::from_bits_retain(n.u16())),
        2 => InputsServerMessage::MouseMotionAck,
        _ => InputsServerMessage::Base(base_server(n.below(BASE_SERVER), n, data)),
    }
}

pub(crate) const INPUTS_CLIENT: u32 = 10;

pub(crate) fn inputs_client<'a>(
    which: u32,
    n: &mut Numbers<'_>,
    data: &'a [u8],
) -> InputsClientMessage<'a> {
    let mut button = || {
        (
            MouseButton::from_wire(n.u8() % 8),
            Buttons::from_bits_retain(n.u16()),
        )
    };
    match which {
        0 => InputsClientMessage::KeyDown(n.u32()),
        1 => InputsClientMessage::KeyUp(n.u32()),
        2 => InputsClientMessage::KeyModifiers(KeyModifiers::from_bits_retain(n.u16())),
        3 => InputsClientMessage::KeyScancode(&data[..data.len().min(256)]),
        4 => InputsClientMessage::MouseMotion {
            dx: n.u32() as i32,
            dy: n.u32() as i32,
            buttons: Buttons::from_bits_retain(n.u16()),
        },
        5 => InputsClientMessage::MousePosition {
            x: n.u32(),
            y: n.u32(),
            buttons: Buttons::from_bits_retain(n.u16()),
            display_id: n.u8(),
        },
        6 => {
            let (button, buttons) = button();
            InputsClientMessage::MousePress { button, buttons }
        }
        7 => {
            let (button, buttons) = button();
            InputsClientMessage::MouseRelease { button, buttons }
        }
        8 => InputsClientMessage::Unknown {
            kind: 115 + n.u16() % 1000,
            size: data.len(),
        },
        _ => InputsClientMessage::Base(base_client(n.below(BASE_CLIENT), n, data)),
    }
}

pub(crate) const CURSOR_SERVER: u32 = 9;

/// `pixels` is long enough for every shape that can come out.
pub(crate) fn cursor_server<'a>(
    which: u32,
    n: &mut Numbers<'_>,
    data: &'a [u8],
    pixels: &'a [u8],
) -> CursorServerMessage<'a> {
    let place = |n: &mut Numbers<'_>| Point16 {
        x: n.u16() as i16,
        y: n.u16() as i16,
    };
    let shape = |n: &mut Numbers<'_>| {
        let header = CursorHeader {
            unique: n.u64(),
            cursor_type: CursorType::ALL[n.below(7) as usize],
            width: n.u16() % 65,
            height: n.u16() % 65,
            hot_spot_x: n.u16(),
            hot_spot_y: n.u16(),
        };
        match n.below(4) {
            0 => CursorShape::None,
            1 => CursorShape::FromCache { header },
            cache => CursorShape::Shape {
                header,
                cache: cache == 2,
                data: &pixels[..header.cursor_type.data_len(header.width, header.height)],
            },
        }
    };
    match which {
        0 => CursorServerMessage::Init {
            position: place(n),
            trail_length: n.u16(),
            trail_frequency: n.u16(),
            visible: n.u8() & 1 != 0,
            shape: shape(n),
        },
        1 => CursorServerMessage::Reset,
        2 => CursorServerMessage::Set {
            position: place(n),
            visible: n.u8() & 1 != 0,
            shape: shape(n),
        },
        3 => CursorServerMessage::Move(place(n)),
        4 => CursorServerMessage::Hide,
        5 => CursorServerMessage::Trail {
            length: n.u16(),
            frequency: n.u16(),
        },
        6 => CursorServerMessage::InvalOne(n.u64()),
        7 => CursorServerMessage::InvalAll,
        _ => CursorServerMessage::Base(base_server(n.below(BASE_SERVER), n, data)),
    }
}

/// Bytes of the largest shape of [`cursor_server`].
pub(crate) const PIXELS: usize = 64 * 64 * 4 + 64 * 8 + 256 * 4;

fn caps(n: &mut Numbers<'_>) -> Capabilities {
    let words = n.below(5) as usize;
    Capabilities::from_words((0..words).map(|_| n.u32()))
}

pub(crate) fn link_message(n: &mut Numbers<'_>) -> LinkMessage {
    LinkMessage {
        connection_id: n.u32(),
        channel_type: n.channel(),
        channel_id: n.u8(),
        common_caps: caps(n),
        channel_caps: caps(n),
    }
}

pub(crate) fn link_reply(n: &mut Numbers<'_>) -> LinkReply {
    let mut public_key = [0; PUBLIC_KEY_LEN];
    public_key.fill_with(|| n.u8());
    LinkReply {
        error: n.error(),
        public_key,
        common_caps: caps(n),
        channel_caps: caps(n),
    }
}
