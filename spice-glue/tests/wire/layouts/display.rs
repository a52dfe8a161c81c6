//! Messages of the display channel.

use scanout_spice::wire::WireError;
use scanout_spice::wire::display::{
    Clip, Codec, DisplayClientMessage, DisplayInit, DisplayServerMessage, Head, Rect,
    SURFACE_FORMAT_XRGB, StreamCreate, StreamData, StreamDataHeader, StreamDataSized, StreamFlags,
    StreamReport, SurfaceCreate, SurfaceFlags,
};

#[test]
fn display_messages_of_the_server() {
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::Mode {
            x_res: 640,
            y_res: 480,
            bits: 32
        },
        101,
        [0x80, 2, 0, 0, 0xe0, 1, 0, 0, 32, 0, 0, 0]
    );
    layout!(DisplayServerMessage, DisplayServerMessage::Mark, 102, []);
    layout!(DisplayServerMessage, DisplayServerMessage::Reset, 103, []);
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamDestroy { stream_id: 5 },
        125,
        [5, 0, 0, 0]
    );
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamDestroyAll,
        126,
        []
    );
    // SURFACE_CREATE has 20 bytes.
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::SurfaceCreate(SurfaceCreate {
            surface_id: 0,
            width: 1920,
            height: 1080,
            format: SURFACE_FORMAT_XRGB,
            flags: SurfaceFlags::PRIMARY,
        }),
        314,
        [
            0, 0, 0, 0, 0x80, 7, 0, 0, 0x38, 4, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0
        ]
    );
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::SurfaceDestroy { surface_id: 1 },
        315,
        [1, 0, 0, 0]
    );
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::MonitorsConfig {
            max_allowed: 4,
            heads: vec![Head {
                monitor_id: 0,
                surface_id: 1,
                width: 2,
                height: 3,
                x: 4,
                y: 5,
                flags: 6
            }]
        },
        317,
        [
            1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6,
            0, 0, 0
        ]
    );
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamActivateReport {
            stream_id: 1,
            unique_id: 2,
            max_window_size: 5,
            timeout_ms: 1000
        },
        319,
        [1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0xe8, 3, 0, 0]
    );
}

/// STREAM_CREATE without its clip: 50 bytes.
#[rustfmt::skip]
const STREAM_CREATE: [u8; 50] = [
    0, 0, 0, 0, // surface
    3, 0, 0, 0, // id
    1, 3, // top down, H.264
    0, 0, 0, 0, 0, 0, 0, 0, // stamp
    0x80, 7, 0, 0, 0x38, 4, 0, 0, // stream
    0x80, 7, 0, 0, 0x38, 4, 0, 0, // source
    0, 0, 0, 0, 0, 0, 0, 0, 0x38, 4, 0, 0, 0x80, 7, 0, 0, // top, left, bottom, right
];

#[test]
fn streams_begin_with_51_bytes_and_their_clip() {
    let stream = StreamCreate {
        surface_id: 0,
        id: 3,
        flags: StreamFlags::TOP_DOWN,
        codec: Codec::H264,
        stamp: 0,
        stream_width: 1920,
        stream_height: 1080,
        src_width: 1920,
        src_height: 1080,
        dest: Rect::of_size(1920, 1080),
        clip: Clip::None,
    };
    let body = [&STREAM_CREATE[..], &[0]].concat();
    assert_eq!(body.len(), 51);
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamCreate(stream.clone()),
        122,
        body
    );
    let rect = Rect {
        top: 1,
        left: -1,
        bottom: 2,
        right: 3,
    };
    let clip = Clip::Rects(vec![rect]);
    let bytes = [
        1, 1, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 2, 0, 0, 0, 3, 0, 0, 0,
    ];
    let stream = StreamCreate {
        clip: clip.clone(),
        ..stream
    };
    let body = [&STREAM_CREATE[..], &bytes].concat();
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamCreate(stream),
        122,
        body
    );
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamClip { stream_id: 3, clip },
        124,
        [&[3, 0, 0, 0], &bytes[..]].concat()
    );
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamClip {
            stream_id: 3,
            clip: Clip::None
        },
        124,
        [3, 0, 0, 0, 0]
    );
    // There is no codec 6, and 0 is none either.
    for codec in [0, 6, 255] {
        let mut body = [&STREAM_CREATE[..], &[0]].concat();
        body[9] = codec;
        let error = DisplayServerMessage::decode(122, &body).unwrap_err();
        assert!(
            matches!(error, WireError::BadValue { offset: 9, seen, .. } if seen == u64::from(codec)),
            "{error:?}"
        );
    }
}

#[test]
fn pictures_have_12_bytes_before_them_or_36() {
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamData(StreamData {
            stream_id: 3,
            mm_time: 0x0102,
            data: b"pic"
        }),
        123,
        [3, 0, 0, 0, 2, 1, 0, 0, 3, 0, 0, 0, b'p', b'i', b'c']
    );
    layout!(
        DisplayServerMessage,
        DisplayServerMessage::StreamDataSized(StreamDataSized {
            stream_id: 3,
            mm_time: 1,
            width: 2,
            height: 4,
            dest: Rect {
                top: 5,
                left: 6,
                bottom: 7,
                right: 8
            },
            data: b"p"
        }),
        316,
        [
            3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8,
            0, 0, 0, 1, 0, 0, 0, b'p'
        ]
    );
    let head = StreamDataHeader {
        stream_id: 3,
        mm_time: 0x0102,
        size: 0x0001_0000,
    };
    let bytes = [123, 0, 12, 0, 1, 0, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 1, 0];
    assert_eq!(head.encode(), bytes);
    assert_eq!(StreamDataHeader::decode(&bytes[6..], 0x0001_000c), Ok(head));
    for body_len in [0, 11, 12, 0x0001_000b, 0x0001_000d] {
        assert!(
            StreamDataHeader::decode(&bytes[6..], body_len).is_err(),
            "{body_len}"
        );
    }
}

#[test]
fn display_messages_of_the_client() {
    // INIT has 14 bytes.
    layout!(
        DisplayClientMessage,
        DisplayClientMessage::Init(DisplayInit {
            pixmap_cache_id: 1,
            pixmap_cache_size: 0x0102_0304_0506_0708,
            glz_dictionary_id: 2,
            glz_dictionary_window_size: -2,
        }),
        101,
        [1, 8, 7, 6, 5, 4, 3, 2, 1, 2, 0xfe, 0xff, 0xff, 0xff]
    );
    // STREAM_REPORT has 32.
    let report = StreamReport {
        stream_id: 3,
        unique_id: 4,
        start_frame_mm_time: 5,
        end_frame_mm_time: 6,
        num_frames: 7,
        num_drops: 8,
        last_frame_delay: -9,
        audio_delay: u32::MAX,
    };
    layout!(
        DisplayClientMessage,
        DisplayClientMessage::StreamReport(report),
        102,
        [
            3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0xf7, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff
        ]
    );
    assert!(!report.unsupported());
    assert!(
        !StreamReport {
            num_drops: u32::MAX,
            ..report
        }
        .unsupported()
    );
    assert!(
        StreamReport {
            num_frames: 0,
            num_drops: u32::MAX,
            ..report
        }
        .unsupported()
    );
    layout!(
        DisplayClientMessage,
        DisplayClientMessage::PreferredCompression(2),
        103,
        [2]
    );
    layout!(
        DisplayClientMessage,
        DisplayClientMessage::GlDrawDone,
        104,
        []
    );
    let wanted = DisplayClientMessage::PreferredVideoCodecType(&[5, 6, 3, 0, 1]);
    layout!(DisplayClientMessage, wanted, 105, [5, 5, 6, 3, 0, 1]);
    assert_eq!(
        wanted.codecs().collect::<Vec<_>>(),
        [Codec::H265, Codec::H264, Codec::Mjpeg]
    );
    assert_eq!(DisplayClientMessage::GlDrawDone.codecs().count(), 0);
}

#[test]
fn codecs_have_their_capabilities() {
    for (codec, number, bit) in [
        (Codec::Mjpeg, 1, 9),
        (Codec::Vp8, 2, 10),
        (Codec::H264, 3, 11),
        (Codec::Vp9, 4, 13),
        (Codec::H265, 5, 14),
    ] {
        assert_eq!(codec.to_wire(), number);
        assert_eq!(codec.capability() as u32, bit);
        assert_eq!(Codec::from_wire(number), Some(codec));
    }
}
