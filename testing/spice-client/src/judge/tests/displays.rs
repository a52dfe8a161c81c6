//! Displays.

use std::time::Instant;

use scanout_spice::wire::base::BaseServerMessage;
use scanout_spice::wire::display::{
    Clip, Codec, DisplayServerMessage, Head, Rect, SURFACE_FORMAT_XRGB, StreamCreate, StreamData,
    StreamFlags, SurfaceCreate, SurfaceFlags,
};
use scanout_spice::wire::frame::MINI_HEADER_LEN;
use scanout_spice::wire::link::{Capabilities, ChannelType};

use super::judge;
use crate::judge::*;

fn display() -> Judge {
    let mut judge = judge(ChannelType::Display);
    if let Judge::Display(judge) = &mut judge {
        judge.begun();
    }
    judge
}

fn surface(surface_id: u32) -> SurfaceCreate {
    SurfaceCreate {
        surface_id,
        width: 64,
        height: 48,
        format: SURFACE_FORMAT_XRGB,
        flags: SurfaceFlags::PRIMARY,
    }
}

fn stream(id: u32, codec: Codec) -> StreamCreate {
    StreamCreate {
        surface_id: 0,
        id,
        flags: StreamFlags::TOP_DOWN,
        codec,
        stamp: 0,
        stream_width: 64,
        stream_height: 48,
        src_width: 64,
        src_height: 48,
        dest: Rect::of_size(64, 48),
        clip: Clip::None,
    }
}

const JPEG: [u8; 4] = [0xff, 0xd8, 0xff, 0xd9];

fn picture(stream_id: u32, mm_time: u32, data: &[u8]) -> DisplayServerMessage<'_> {
    DisplayServerMessage::StreamData(StreamData {
        stream_id,
        mm_time,
        data,
    })
}

/// A display with a surface, marked, and stream 1 of MJPEG.
fn running() -> Judge {
    let mut judge = display();
    judged!(judge, DisplayServerMessage::SurfaceCreate(surface(0)), []);
    judged!(judge, DisplayServerMessage::Mark, []);
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(1, Codec::Mjpeg)),
        []
    );
    judge
}

#[test]
fn a_good_server_has_no_faults() {
    let mut judge = running();
    let ask = DisplayServerMessage::StreamActivateReport {
        stream_id: 1,
        unique_id: 1,
        max_window_size: 5,
        timeout_ms: 9,
    };
    judged!(judge, ask, []);
    // Stamps may wrap, and be the same.
    for stamp in [u32::MAX - 5, u32::MAX, 3, 3] {
        judged!(judge, picture(1, stamp, &JPEG), []);
    }
    // A resize, with the old id again.
    judged!(
        judge,
        DisplayServerMessage::StreamDestroy { stream_id: 1 },
        []
    );
    judged!(
        judge,
        DisplayServerMessage::SurfaceDestroy { surface_id: 0 },
        []
    );
    judged!(judge, DisplayServerMessage::SurfaceCreate(surface(0)), []);
    judged!(judge, DisplayServerMessage::Mark, []);
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(1, Codec::Mjpeg)),
        []
    );
    judged!(judge, picture(1, 1, &JPEG), []);
    judged!(
        judge,
        DisplayServerMessage::Base(BaseServerMessage::SetAck {
            generation: 1,
            window: 20
        }),
        []
    );
}

#[test]
fn nothing_comes_before_a_displays_init() {
    let mut judge = judge(ChannelType::Display);
    judged!(
        judge,
        DisplayServerMessage::Base(BaseServerMessage::SetAck {
            generation: 1,
            window: 20
        }),
        []
    );
    judged!(
        judge,
        DisplayServerMessage::SurfaceCreate(surface(0)),
        [Fault::TooEarly { kind: 314 }]
    );
}

#[test]
fn surfaces_are_counted() {
    let mut judge = display();
    judged!(judge, DisplayServerMessage::Mark, [Fault::MarkOfNothing]);
    judged!(
        judge,
        DisplayServerMessage::SurfaceDestroy { surface_id: 0 },
        [Fault::NoSurface(0)]
    );
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(1, Codec::Mjpeg)),
        [Fault::NoSurface(0)]
    );
    judged!(
        judge,
        DisplayServerMessage::StreamDestroy { stream_id: 1 },
        []
    );
    judged!(judge, DisplayServerMessage::SurfaceCreate(surface(0)), []);
    let second = Fault::SecondPrimary {
        first: 0,
        second: 1,
    };
    judged!(judge, DisplayServerMessage::SurfaceCreate(surface(1)), [fault] if *fault == second);
    let off_screen = SurfaceCreate {
        flags: SurfaceFlags::empty(),
        ..surface(0)
    };
    judged!(
        judge,
        DisplayServerMessage::SurfaceCreate(off_screen),
        [Fault::SurfaceTwice(0)]
    );
    let empty = SurfaceCreate {
        width: 0,
        flags: SurfaceFlags::empty(),
        ..surface(2)
    };
    judged!(
        judge,
        DisplayServerMessage::SurfaceCreate(empty),
        [Fault::Surface { width: 0, .. }]
    );
    let other = SurfaceCreate {
        format: 16,
        flags: SurfaceFlags::empty(),
        ..surface(3)
    };
    judged!(
        judge,
        DisplayServerMessage::SurfaceCreate(other),
        [Fault::Surface { format: 16, .. }]
    );
    let heads = vec![Head {
        monitor_id: 0,
        surface_id: 9,
        width: 1,
        height: 1,
        x: 0,
        y: 0,
        flags: 0,
    }];
    let monitors = DisplayServerMessage::MonitorsConfig {
        max_allowed: 1,
        heads,
    };
    judged!(judge, monitors, [Fault::NoSurface(9)]);
}

#[test]
fn streams_are_counted() {
    let mut judge = running();
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(1, Codec::Mjpeg)),
        [Fault::StreamTwice(1)]
    );
    judged!(
        judge,
        DisplayServerMessage::StreamDestroy { stream_id: 2 },
        [Fault::NoStream(2)]
    );
    judged!(judge, picture(2, 1, &JPEG), [Fault::NoStream(2)]);
    judged!(
        judge,
        DisplayServerMessage::StreamClip {
            stream_id: 2,
            clip: Clip::None
        },
        [Fault::NoStream(2)]
    );
    let ask = DisplayServerMessage::StreamActivateReport {
        stream_id: 2,
        unique_id: 1,
        max_window_size: 0,
        timeout_ms: 9,
    };
    judged!(judge, ask, [Fault::NoStream(2), Fault::Zero(_)]);
    let in_use = Fault::SurfaceInUse {
        surface: 0,
        stream: 1,
    };
    judged!(judge, DisplayServerMessage::SurfaceDestroy { surface_id: 0 }, [fault] if *fault == in_use);
    judged!(judge, DisplayServerMessage::StreamDestroyAll, []);
    judged!(judge, picture(1, 1, &JPEG), [Fault::NoStream(1)]);
}

#[test]
fn streams_lie_on_their_surface() {
    let mut judge = running();
    let good = stream(2, Codec::H264);
    for (stream, wrong) in [
        (
            StreamCreate {
                stream_width: 0,
                ..good.clone()
            },
            true,
        ),
        (
            StreamCreate {
                src_width: 65,
                ..good.clone()
            },
            true,
        ),
        (
            StreamCreate {
                dest: Rect::of_size(65, 48),
                ..good.clone()
            },
            true,
        ),
        (
            StreamCreate {
                dest: Rect {
                    left: -1,
                    ..good.dest
                },
                ..good.clone()
            },
            true,
        ),
        (
            StreamCreate {
                dest: Rect {
                    top: 48,
                    ..good.dest
                },
                ..good.clone()
            },
            true,
        ),
        // A coded size in whole macroblocks is none.
        (
            StreamCreate {
                stream_height: 64,
                ..good.clone()
            },
            false,
        ),
    ] {
        let faults = faults!(judge, DisplayServerMessage::StreamCreate(stream.clone()));
        assert_eq!(
            matches!(&faults[..], [Fault::StreamPlace { stream: 2, .. }]),
            wrong,
            "{stream:?}: {faults:?}"
        );
        judged!(
            judge,
            DisplayServerMessage::StreamDestroy { stream_id: 2 },
            []
        );
    }
}

#[test]
fn codecs_are_those_of_the_client() {
    let mut some = Judge::new(
        ChannelType::Display,
        Capabilities::from_words([1 << 8 | 1 << 9 | 1 << 11]),
    );
    let mut none = Judge::new(ChannelType::Display, Capabilities::default());
    for judge in [&mut some, &mut none] {
        let Judge::Display(display) = judge else {
            unreachable!()
        };
        display.begun();
        judged!(judge, DisplayServerMessage::SurfaceCreate(surface(0)), []);
        judged!(
            judge,
            DisplayServerMessage::StreamCreate(stream(1, Codec::Mjpeg)),
            []
        );
        let not_offered = Fault::CodecNotOffered {
            stream: 3,
            codec: Codec::Vp8,
        };
        judged!(judge, DisplayServerMessage::StreamCreate(stream(3, Codec::Vp8)), [fault] if *fault == not_offered);
    }
    judged!(
        some,
        DisplayServerMessage::StreamCreate(stream(2, Codec::H264)),
        []
    );
    judged!(
        none,
        DisplayServerMessage::StreamCreate(stream(2, Codec::H264)),
        [Fault::CodecNotOffered { .. }]
    );
    // Nor may reports be asked of who makes none.
    let ask = DisplayServerMessage::StreamActivateReport {
        stream_id: 1,
        unique_id: 1,
        max_window_size: 1,
        timeout_ms: 9,
    };
    judged!(none, ask, [Fault::Unannounced { kind: 319 }]);
    let monitors = DisplayServerMessage::MonitorsConfig {
        max_allowed: 1,
        heads: vec![],
    };
    judged!(none, monitors, [Fault::Unannounced { kind: 317 }]);
}

#[test]
fn a_codec_that_was_refused_does_not_come_again() {
    let mut judge = running();
    let Judge::Display(display) = &mut judge else {
        unreachable!()
    };
    display.refused(1);
    judged!(
        judge,
        DisplayServerMessage::StreamDestroy { stream_id: 1 },
        []
    );
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(1, Codec::Mjpeg)),
        [Fault::CodecRefused {
            stream: 1,
            codec: Codec::Mjpeg
        }]
    );
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(2, Codec::H264)),
        []
    );
}

#[test]
fn pictures_start_with_a_keyframe_and_go_forward() {
    let mut judge = running();
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(2, Codec::H264)),
        []
    );
    let slice = [0, 0, 1, 0x41, 1];
    let expected = Fault::FirstPicture {
        stream: 2,
        codec: Codec::H264,
        keyframe: false,
        headers: false,
    };
    judged!(judge, picture(2, 10, &slice), [fault] if *fault == expected);
    judged!(judge, picture(2, 20, &slice), []);
    let backwards = Fault::StampBackwards {
        stream: 2,
        last: 20,
        seen: 19,
    };
    judged!(judge, picture(2, 19, &slice), [fault] if *fault == backwards);
    judged!(judge, picture(1, 0, &JPEG), [Fault::Zero(_)]);
    judged!(
        judge,
        picture(1, 5, &JPEG[..3]),
        [Fault::NoPicture { size: 3, .. }]
    );
    judged!(
        judge,
        picture(1, 5, &[]),
        [Fault::NoPicture { size: 0, .. }]
    );
    // A keyframe alone is not enough.
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(3, Codec::H264)),
        []
    );
    judged!(
        judge,
        picture(3, 1, &[0, 0, 1, 0x65, 1]),
        [Fault::FirstPicture {
            keyframe: true,
            headers: false,
            ..
        }]
    );
}

#[test]
fn pictures_come_after_mark_of_the_surface_that_is_there() {
    let mut judge = display();
    judged!(judge, DisplayServerMessage::SurfaceCreate(surface(0)), []);
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(stream(1, Codec::Mjpeg)),
        []
    );
    judged!(judge, picture(1, 1, &JPEG), [Fault::NotMarked(1)]);
    judged!(judge, DisplayServerMessage::Mark, []);
    judged!(judge, picture(1, 1, &JPEG), []);
    judged!(judge, DisplayServerMessage::StreamDestroyAll, []);
    judged!(
        judge,
        DisplayServerMessage::SurfaceDestroy { surface_id: 0 },
        []
    );
    judged!(judge, DisplayServerMessage::SurfaceCreate(surface(1)), []);
    judged!(
        judge,
        DisplayServerMessage::StreamCreate(StreamCreate {
            surface_id: 1,
            ..stream(1, Codec::Mjpeg)
        }),
        []
    );
    judged!(judge, picture(1, 1, &JPEG), [Fault::NotMarked(1)]);
}

#[test]
fn bytes_that_do_not_fit_and_unknown_messages_are_faults() {
    let mut judge = running();
    let verdict = judge.message(125, &[1, 0, 0, 0, 0], Instant::now());
    assert_eq!(verdict.event, Event::Malformed(125));
    assert!(
        matches!(
            verdict.faults[..],
            [Fault::Malformed(WireError::Trailing { .. })]
        ),
        "{:?}",
        verdict.faults
    );
    let verdict = judge.message(302, &[0; 7], Instant::now());
    assert_eq!(verdict.faults, [Fault::Unknown { kind: 302, size: 7 }]);
    let no_acks = DisplayServerMessage::Base(BaseServerMessage::SetAck {
        generation: 1,
        window: 0,
    });
    judged!(judge, no_acks, [Fault::AckWindow]);
}
