//! Recordings against a producer's own memory: what is played, and the frames
//! made of it, are what the producer had.

mod producer;
mod replay;

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use producer::{INTEL_4_TILED, Producer, picture};
use proptest::prelude::*;
use scanout_core::buffer::{Layout, View};
use scanout_core::format::{self, Fourcc, Modifier};
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_trace::recording::{
    Delivery, End, Event, EventKind, Object, Player, Recording, RecordingReader, RecordingWriter,
    Scanout, Update,
};
use scanout_trace::source::{FrameRate, FrameReader, PictureChoice, RecordingSource};

/// The recording of `events`, which is as long as they are and `rest`.
fn written(events: &[Event], rest: Duration) -> Vec<u8> {
    let mut writer = RecordingWriter::new(Vec::new(), "a test").unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    let end = writer.last_time() + rest;
    writer.finish(end).unwrap()
}

fn events_of(file: &[u8]) -> Vec<Event> {
    let mut reader = RecordingReader::new(file).unwrap();
    let events: Result<Vec<_>, _> = reader.by_ref().collect();
    assert!(matches!(reader.end(), Some(End::Finished { .. })));
    events.unwrap()
}

fn without_patches(event: &Event) -> Event {
    let mut event = event.clone();
    match &mut event.kind {
        EventKind::Scanout(scanout) => scanout.patches.clear(),
        EventKind::Update(update) => update.patches.clear(),
        _ => {}
    }
    event
}

fn frames(file: Vec<u8>, choice: PictureChoice) -> RecordingSource<Cursor<Vec<u8>>> {
    let name = Path::new("test.scanrec");
    RecordingSource::new(name, Cursor::new(file), choice, FrameRate::whole(50)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// What comes out is what went in: each field, each byte of each object after
    /// each event, and the same file when it is written again.
    #[test]
    fn a_recording_holds_what_the_producer_had(seed in any::<u64>(), steps in 1usize..60) {
        let producer = Producer::after(seed, steps);
        let file = written(&producer.events, Duration::ZERO);
        let events = events_of(&file);
        prop_assert_eq!(events.len(), producer.events.len());
        let mut player = Player::new();
        let states = producer.states.iter().zip(&producer.events);
        for (event, (state, original)) in events.iter().zip(states) {
            prop_assert_eq!(without_patches(event), without_patches(original));
            player.apply(event).unwrap();
            prop_assert_eq!(player.scanout(), state.as_ref().map(|(scanout, _)| scanout));
            let objects: Vec<&[u8]> = player.objects().collect();
            let expected = state.iter().flat_map(|(_, objects)| objects);
            prop_assert_eq!(objects, expected.map(Vec::as_slice).collect::<Vec<_>>());
        }
        prop_assert_eq!(written(&events, Duration::ZERO), file);
    }

    /// Every frame is the producer's picture at that time, whichever way up and
    /// wherever in its buffer it lay, and nothing changed outside of the damage.
    #[test]
    fn frames_are_the_producers_pictures(seed in any::<u64>(), steps in 5usize..80, number in 1usize..6) {
        let producer = Producer::after(seed, steps);
        let rest = Duration::from_millis(seed % 50);
        let file = written(&producer.events, rest);
        let reader = RecordingReader::new(&file[..]).unwrap();
        let recording = Recording::read(reader).unwrap();
        let Some(chosen) = recording.pictures.get(number - 1).cloned() else {
            return Ok(());
        };
        if chosen.modifier == INTEL_4_TILED {
            return Ok(());
        }
        let mut source = frames(file, PictureChoice::Number(number));
        prop_assert_eq!((source.size(), source.fourcc()), (chosen.size, chosen.fourcc));
        // The picture at `time`: the last one before it that was of the chosen kind.
        let at = |time: Duration| {
            let states = producer.events.iter().zip(&producer.states);
            let shown = states
                .take_while(|(event, _)| event.time <= time)
                .filter_map(|(_, state)| state.as_ref())
                .filter(|(scanout, _)| {
                    scanout.view.content.size() == chosen.size
                        && scanout.layout.fourcc == chosen.fourcc
                        && scanout.layout.modifier == chosen.modifier
                });
            shown.last().map(|(scanout, objects)| picture(scanout, objects)).unwrap()
        };
        let (mut before, mut count) = (Vec::new(), 0u32);
        while let Some(frame) = source.next_frame().unwrap() {
            let time = chosen.first + frame.time;
            prop_assert_eq!(frame.time, Duration::from_millis(20) * count);
            prop_assert_eq!(frame.data, at(time), "frame {}", count);
            if count == 0 {
                prop_assert_eq!(&frame.damage, &Damage::full(chosen.size));
                before = vec![0; frame.data.len()];
            }
            // Copying the damage alone must give the frame.
            let info = format::info(chosen.fourcc).unwrap();
            for (plane, place) in info.planes.iter().zip(frame.planes) {
                for rect in frame.damage.rects() {
                    let (h, v) = (u32::from(plane.h_sub), u32::from(plane.v_sub));
                    for row in rect.y / v..rect.bottom().div_ceil(v) {
                        let row = place.offset + place.stride * row as usize;
                        let block = usize::from(plane.block_bytes);
                        let span = row + (rect.x / h) as usize * block
                            ..row + rect.right().div_ceil(h) as usize * block;
                        before[span.clone()].copy_from_slice(&frame.data[span]);
                    }
                }
            }
            prop_assert_eq!(&before, frame.data, "damage of frame {}", count);
            count += 1;
        }
        // One frame for each slot that was begun, and one for the beginning.
        let length = (chosen.last - chosen.first).as_nanos();
        let slots = length.div_ceil(20_000_000) as u32;
        prop_assert_eq!(count, slots + 1);
    }
}

/// A scanout of `size` in XR24, all of one value.
fn flat(id: u32, size: Size, value: u8) -> Scanout {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, size, 4).unwrap();
    Scanout {
        delivery: Delivery::DmaBuf,
        layout,
        view: View::of(size),
        objects: vec![Object {
            id,
            size: bytes,
            exporter: None,
        }],
        patches: Scanout::capture(&[&vec![value; bytes as usize]]),
    }
}

fn scanout(ms: u64, scanout: Scanout) -> Event {
    Event::new(Duration::from_millis(ms), EventKind::Scanout(scanout))
}

fn draw(ms: u64, rect: Rect) -> Event {
    let patches = Vec::new();
    Event::new(
        Duration::from_millis(ms),
        EventKind::Update(Update { rect, patches }),
    )
}

/// 640x480 for half a second, then 720x400 for a second with three updates.
fn boot() -> Vec<Event> {
    vec![
        scanout(0, flat(1, Size::new(640, 480), 1)),
        draw(100, Rect::new(0, 0, 9, 16)),
        scanout(500, flat(2, Size::new(720, 400), 2)),
        draw(505, Rect::new(0, 0, 9, 16)),
        draw(515, Rect::new(9, 0, 9, 16)),
        draw(541, Rect::new(700, 380, 9, 16)),
        Event::new(Duration::from_millis(1500), EventKind::Disable),
    ]
}

#[test]
fn updates_of_one_slot_are_united_and_idle_slots_have_no_damage() {
    let mut source = frames(written(&boot(), Duration::ZERO), PictureChoice::Longest);
    assert_eq!(source.size(), Size::new(720, 400));
    let mut damages = Vec::new();
    while let Some(frame) = source.next_frame().unwrap() {
        damages.push(frame.damage.clone());
    }
    // 50 slots of 20 ms in a second, and the beginning.
    assert_eq!(damages.len(), 51);
    assert_eq!(damages[0], Damage::full(Size::new(720, 400)));
    let two = [Rect::new(0, 0, 9, 16), Rect::new(9, 0, 9, 16)];
    assert_eq!(damages[1].rects(), two);
    assert_eq!(damages[2], Damage::none());
    assert_eq!(damages[3].rects(), [Rect::new(700, 380, 9, 16)]);
    assert!(damages[4..].iter().all(Damage::is_none));
}

/// A sample of chroma is of four pixels: who changes one changes the look of all.
#[test]
fn damage_of_subsampled_pictures_names_all_pixels_of_a_sample() {
    let size = Size::new(15, 10);
    let mut planar = flat(1, size, 1);
    let (layout, bytes) = Layout::packed(Fourcc::NV12, size, 2).unwrap();
    planar.layout = layout;
    planar.objects[0].size = bytes;
    planar.patches.clear();
    let events = [
        scanout(0, planar),
        draw(20, Rect::new(3, 5, 1, 1)),
        draw(40, Rect::new(14, 9, 1, 1)),
    ];
    let mut source = frames(written(&events, Duration::ZERO), PictureChoice::Longest);
    source.next_frame().unwrap();
    let mut next = || source.next_frame().unwrap().unwrap().damage.clone();
    assert_eq!(next().rects(), [Rect::new(2, 4, 2, 2)]);
    assert_eq!(next().rects(), [Rect::new(14, 8, 1, 2)]);
}

#[test]
fn a_picture_is_chosen_by_time_number_or_size_and_the_rest_is_listed() {
    let file = written(&boot(), Duration::ZERO);
    let size = |choice| frames(file.clone(), choice).size();
    assert_eq!(size(PictureChoice::Longest), Size::new(720, 400));
    assert_eq!(size(PictureChoice::Number(1)), Size::new(640, 480));
    let by_size = PictureChoice::Size(Size::new(640, 480));
    assert_eq!(size(by_size), Size::new(640, 480));
    let details = frames(file.clone(), PictureChoice::Longest).details();
    assert_eq!(
        details.as_deref(),
        Some("2 scanouts, 720x400 XR24 for 1.0 s of 1.5 s, 4 updates")
    );
    let details = frames(file.clone(), by_size).details();
    assert_eq!(
        details.as_deref(),
        Some("2 scanouts, 640x480 XR24 for 0.5 s of 1.5 s, 4 updates")
    );
    let list = "1: 640x480 XR24 for 0.5 s, 2: 720x400 XR24 for 1.0 s";
    for (choice, word) in [
        (PictureChoice::Number(0), "no scanout 0"),
        (PictureChoice::Number(3), "no scanout 3"),
        (PictureChoice::Size(Size::new(1, 1)), "no scanout of 1x1"),
    ] {
        let error = refused(file.clone(), choice);
        assert!(
            error.starts_with("test.scanrec: ") && error.contains(word),
            "{error}"
        );
        assert!(error.ends_with(list), "{error}");
    }
}

fn refused(file: Vec<u8>, choice: PictureChoice) -> String {
    let name = Path::new("test.scanrec");
    let fps = FrameRate::whole(60);
    match RecordingSource::new(name, Cursor::new(file), choice, fps) {
        Ok(mut source) => loop {
            match source.next_frame() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("not refused"),
                Err(error) => return error.to_string(),
            }
        },
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_the_cpu_cannot_read_is_refused_with_its_reason() {
    let change = |change: &dyn Fn(&mut Scanout)| {
        let mut changed = flat(1, Size::new(64, 64), 0);
        change(&mut changed);
        written(&[scanout(0, changed)], Duration::from_secs(1))
    };
    for (file, word) in [
        (
            change(&|s| s.layout.modifier = INTEL_4_TILED),
            "modifier INTEL_4_TILED, which the CPU cannot read",
        ),
        // Linear or not: nobody knows of this exporter.
        (
            change(&|s| s.layout.modifier = Modifier::INVALID),
            "INVALID",
        ),
        (
            change(&|s| s.layout.fourcc = Fourcc(1)),
            "unknown pixel format",
        ),
        (
            change(&|s| s.layout.planes[0].stride = 255),
            "stride of 255",
        ),
        (
            change(&|s| s.layout.planes[0].offset = 4),
            "ends at byte 16388",
        ),
        (
            change(&|s| {
                s.layout.fourcc = Fourcc::YUYV;
                s.view.content = Rect::new(1, 0, 8, 8);
            }),
            "cuts YUYV: it must lie at multiples of 2 and 1",
        ),
        (written(&[], Duration::ZERO), "shows nothing"),
    ] {
        let error = refused(file, PictureChoice::Longest);
        assert!(error.contains(word), "{word:?} is missing in {error:?}");
    }
    // The second buffer of the same picture is checked as well.
    let mut second = flat(2, Size::new(64, 64), 0);
    second.layout.planes[0].stride = 4000;
    let events = [
        scanout(0, flat(1, Size::new(64, 64), 0)),
        scanout(50, second),
    ];
    let error = refused(
        written(&events, Duration::from_secs(1)),
        PictureChoice::Longest,
    );
    assert!(
        error.contains("scanout at 50ms") && error.contains("252256"),
        "{error}"
    );
}

#[test]
fn an_unnamed_modifier_is_linear_where_the_memory_can_be_nothing_else() {
    for (delivery, exporter, fine) in [
        (Delivery::Map, None, true),
        (Delivery::Inline, None, true),
        (Delivery::DmaBuf, Some("udmabuf"), true),
        (Delivery::DmaBuf, Some("i915"), false),
    ] {
        let mut unnamed = flat(1, Size::new(8, 8), 7);
        unnamed.layout.modifier = Modifier::INVALID;
        unnamed.delivery = delivery;
        unnamed.objects[0].exporter = exporter.map(str::to_owned);
        let file = written(&[scanout(0, unnamed)], Duration::from_secs(1));
        let name = Path::new("x");
        let fps = FrameRate::whole(60);
        let source = RecordingSource::new(name, Cursor::new(file), PictureChoice::Longest, fps);
        match source {
            Ok(mut source) => {
                assert!(fine, "{delivery} {exporter:?}");
                let frame = source.next_frame().unwrap().unwrap();
                assert!(frame.data.iter().all(|byte| *byte == 7));
            }
            Err(error) => assert!(!fine, "{error}"),
        }
    }
}

#[test]
fn a_recording_that_was_cut_short_gives_what_it_has() {
    let whole = written(&boot(), Duration::ZERO);
    let full = Recording::read(RecordingReader::new(&whole[..]).unwrap()).unwrap();
    assert!(!full.is_truncated());
    let mut seen = 0;
    for length in (0..whole.len()).rev() {
        let Ok(reader) = RecordingReader::new(&whole[..length]) else {
            break;
        };
        let cut = Recording::read(reader).unwrap();
        assert!(cut.is_truncated(), "{length} bytes");
        assert!(cut.to_string().ends_with("cut short"), "{cut}");
        assert!(cut.scanouts + cut.updates <= full.scanouts + full.updates);
        seen += 1;
    }
    assert!(seen > 100, "{seen} cuts");
    // Without the record of the end, all events are there.
    let mut reader = RecordingReader::new(&whole[..whole.len() - 1]).unwrap();
    assert_eq!(reader.by_ref().filter(Result::is_ok).count(), boot().len());
    assert!(matches!(reader.end(), Some(End::Truncated { bytes }) if bytes > 8));
}
