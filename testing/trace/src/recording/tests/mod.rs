mod refused;

use std::time::Duration;

use arrayvec::ArrayVec;

use scanout_core::buffer::{Layout, Orientation, Plane, View};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::{Rect, Size};

use super::*;

/// A scanout of `size` that shows `bytes`, which are those of a tight XR24 buffer.
fn scanout(id: u32, size: Size, bytes: &[u8]) -> Scanout {
    let (layout, length) = Layout::packed(Fourcc::XRGB8888, size, 4).unwrap();
    assert_eq!(bytes.len() as u64, length);
    Scanout {
        delivery: Delivery::DmaBuf,
        layout,
        view: View::of(size),
        objects: vec![Object {
            id,
            size: length,
            exporter: Some("udmabuf".to_owned()),
        }],
        patches: Scanout::capture(&[bytes]),
    }
}

fn at(ms: u64, kind: EventKind) -> Event {
    Event::new(Duration::from_millis(ms), kind)
}

fn written(events: &[Event]) -> Vec<u8> {
    let mut writer = RecordingWriter::new(Vec::new(), "test").unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    let end = writer.last_time();
    writer.finish(end).unwrap()
}

fn read(file: &[u8]) -> Result<(Vec<Event>, End), RecordingError> {
    let mut reader = RecordingReader::new(file)?;
    let mut events = Vec::new();
    while let Some(event) = reader.next_event()? {
        events.push(event);
    }
    Ok((events, reader.end().unwrap()))
}

#[test]
fn every_kind_of_event_reads_as_written() {
    let size = Size::new(4, 3);
    let mut first = scanout(7, size, &[9; 48]);
    first.view = View {
        content: Rect::new(1, 1, 3, 2),
        orientation: Orientation::BottomUp,
    };
    let mut two = scanout(8, size, &[1; 48]);
    two.delivery = Delivery::Map;
    two.layout.modifier = Modifier(0x0100_0000_0000_0009);
    two.layout.fourcc = Fourcc::NV12;
    two.layout.planes = ArrayVec::from_iter([
        Plane {
            object: 0,
            offset: 3,
            stride: 5,
        },
        Plane {
            object: 1,
            offset: u32::MAX,
            stride: u32::MAX,
        },
    ]);
    two.objects.push(Object {
        id: 9,
        size: 5,
        exporter: None,
    });
    two.patches.extend(Patch::whole(1, &[3; 5]));
    let mut inline = scanout(9, size, &[2; 48]);
    inline.delivery = Delivery::Inline;
    let cursor = CursorShape {
        size: Size::new(2, 1),
        hot_x: -1,
        hot_y: i32::MAX,
        argb: vec![1, 2, 3, 4, 5, 6, 7, 8],
    };
    let mouse = MouseSet {
        x: i32::MIN,
        y: 5,
        visible: true,
    };
    let patch = Patch {
        object: 0,
        offset: 17,
        stride: 16,
        row_bytes: 3,
        rows: 2,
        data: vec![1, 2, 3, 4, 5, 6],
    };
    let mut update = at(
        1,
        EventKind::Update(Update {
            rect: Rect::new(1, 0, 2, 2),
            patches: vec![patch],
        }),
    );
    update.reply = Some(Duration::from_nanos(1234));
    let events = [
        at(0, EventKind::Scanout(first)),
        update,
        at(1, EventKind::CursorDefine(cursor)),
        at(2, EventKind::MouseSet(mouse)),
        at(3, EventKind::Scanout(two)),
        at(4, EventKind::Disable),
        at(5, EventKind::Scanout(inline)),
    ];
    let file = written(&events);
    let (seen, end) = read(&file).unwrap();
    assert_eq!(seen, events);
    let duration = Duration::from_millis(5);
    assert_eq!(end, End::Finished { duration });
    assert_eq!(written(&events), file, "the same events, other bytes");
    assert_eq!(RecordingReader::new(&file[..]).unwrap().producer(), "test");
}

#[test]
fn rows_that_are_as_they_were_are_left_out() {
    let size = Size::new(64, 64);
    let mut bytes: Vec<u8> = (0..64 * 64 * 4).map(|n| (n * n % 251) as u8).collect();
    let first = at(0, EventKind::Scanout(scanout(1, size, &bytes)));
    let other = at(
        1,
        EventKind::Scanout(scanout(2, size, &vec![5; 64 * 64 * 4])),
    );
    // The first buffer again, as a producer that flips between two shows it.
    let again = at(2, EventKind::Scanout(scanout(1, size, &bytes)));
    let one = scanout(1, size, &bytes);
    bytes[64 * 4 * 10 + 20] ^= 1;
    let all = Rect::of(size);
    let patches = one.capture_rect(all, false, &[&bytes]).unwrap();
    assert_eq!((patches.len(), patches[0].rows), (1, 64));
    let update = at(3, EventKind::Update(Update { rect: all, patches }));
    let file = written(&[first, other, again, update]);
    let (seen, _) = read(&file).unwrap();
    let patches = |event: &Event| match &event.kind {
        EventKind::Scanout(scanout) => scanout.patches.clone(),
        EventKind::Update(update) => update.patches.clone(),
        _ => Vec::new(),
    };
    assert_eq!(patches(&seen[2]), []);
    let [patch] = &patches(&seen[3])[..] else {
        panic!("{:?}", seen[3]);
    };
    assert_eq!((patch.offset, patch.rows), (64 * 4 * 10, 1));
    let mut player = Player::new();
    for event in &seen {
        player.apply(event).unwrap();
    }
    assert_eq!(player.object(0), Some(&bytes[..]));
}

/// Objects that were shown are known for a while; who was forgotten is the same
/// for the writer and for who plays.
#[test]
fn patches_are_bounded_and_no_writer_makes_more() {
    use super::MAX_PATCHES;

    // Every 50th byte changes, too far apart to be written as one.
    let rows = MAX_PATCHES as u32 * 2 + 2;
    let bytes: Vec<u8> = (0..rows * 25).map(|at| u8::from(at % 50 == 0)).collect();
    let mut object = scanout(1, Size::new(4, 4), &[0; 64]);
    object.patches.clear();
    object.objects[0].size = bytes.len() as u64;
    let patch = |offset, row_bytes: u32, rows, data| Patch {
        object: 0,
        offset,
        stride: row_bytes,
        row_bytes,
        rows,
        data,
    };
    let update = |patches| {
        let rect = Rect::new(0, 0, 4, 4);
        at(1, EventKind::Update(Update { rect, patches }))
    };
    let events = [
        at(0, EventKind::Scanout(object)),
        update(vec![patch(0, 25, rows, bytes)]),
    ];
    let (read, _) = read(&written(&events)).unwrap();
    assert_eq!(read[1], events[1], "as it came, as it would be too many");

    let mut writer = RecordingWriter::new(Vec::new(), "").unwrap();
    writer.write(&events[0]).unwrap();
    let many = update(vec![patch(0, 1, 1, vec![1]); MAX_PATCHES + 1]);
    let error = writer.write(&many).unwrap_err().to_string();
    assert_eq!(
        error,
        "event with 262145 patches: a record holds at most 262144"
    );
}

#[test]
fn of_objects_that_were_shown_only_so_many_are_kept() {
    let size = Size::new(8, 8);
    let count = MAX_KEPT as u32 + 3;
    let events: Vec<Event> = (0..3 * count)
        .map(|n| {
            let bytes = vec![(n % count + 1) as u8; 256];
            at(
                n.into(),
                EventKind::Scanout(scanout(n % count, size, &bytes)),
            )
        })
        .collect();
    let (seen, _) = read(&written(&events)).unwrap();
    let mut player = Player::new();
    for (event, n) in seen.iter().zip(0..) {
        let EventKind::Scanout(scanout) = &event.kind else {
            panic!("{event:?}");
        };
        // One more than is kept: each comes back just after it was forgotten.
        assert!(!scanout.patches.is_empty());
        player.apply(event).unwrap();
        assert_eq!(player.object(0), Some(&[(n % count + 1) as u8; 256][..]));
    }
    let fewer: Vec<Event> = (0..40)
        .map(|n| {
            let bytes = vec![(n % MAX_KEPT + 1) as u8; 256];
            at(
                n as u64,
                EventKind::Scanout(scanout((n % MAX_KEPT) as u32, size, &bytes)),
            )
        })
        .collect();
    let (seen, _) = read(&written(&fewer)).unwrap();
    let patches = seen.iter().map(|event| match &event.kind {
        EventKind::Scanout(scanout) => scanout.patches.len(),
        _ => 0,
    });
    assert_eq!(patches.skip(MAX_KEPT).sum::<usize>(), 0);
}

#[test]
fn bytes_of_messages_become_patches_of_their_buffer() {
    let bytes: Vec<u8> = (0..40).collect();
    let patch = Patch::of_rows(0, 100, 50, 3, 4, (&bytes, 10)).unwrap();
    assert_eq!((patch.offset, patch.stride), (100, 50));
    assert_eq!(patch.data, [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32]);
    assert_eq!(Patch::of_rows(0, 0, 50, 11, 4, (&bytes, 10)), None);
    assert_eq!(Patch::cut(0, &bytes, 0, 0, 3, u32::MAX), None);
    let whole = Patch::whole(2, &[7; 4097]);
    let parts: Vec<_> = whole
        .iter()
        .map(|p| (p.offset, p.row_bytes, p.rows))
        .collect();
    assert_eq!(parts, [(0, 4096, 1), (4096, 1, 1)]);
}

#[test]
fn what_an_update_changed_is_cut_to_rows_where_there_are_rows() {
    let size = Size::new(8, 8);
    let bytes = [1; 256];
    let shown = scanout(1, size, &bytes);
    let rect = Rect::new(2, 1, 4, 2);
    let captured = |change: &dyn Fn(&mut Scanout), linear: bool| {
        let mut changed = shown.clone();
        change(&mut changed);
        let patches = changed.capture_rect(rect, linear, &[&bytes]).unwrap();
        let places = patches.iter().map(|p| (p.offset, p.row_bytes, p.rows));
        places.collect::<Vec<_>>()
    };
    let (rows, whole) = ([(32 + 8, 16, 2)], [(0, 256, 1)]);
    assert_eq!(captured(&|_| {}, false), rows);
    let upside = |s: &mut Scanout| s.view.orientation = Orientation::BottomUp;
    assert_eq!(captured(&upside, false), [(5 * 32 + 8, 16, 2)]);
    let invalid = |s: &mut Scanout| s.layout.modifier = Modifier::INVALID;
    assert_eq!(captured(&invalid, true), rows);
    assert_eq!(captured(&invalid, false), whole);
    let tiled = |s: &mut Scanout| s.layout.modifier = Modifier(0x0100_0000_0000_0009);
    assert_eq!(captured(&tiled, true), whole);
    assert_eq!(captured(&|s| s.layout.fourcc = Fourcc(1), true), whole);
    assert_eq!(captured(&|s| s.layout.planes[0].stride = 0, true), whole);
    let outside = shown.capture_rect(Rect::new(5, 0, 4, 1), false, &[&bytes]);
    assert!(matches!(outside, Err(RecordingError::RectOutside { .. })));
    let short = shown.capture_rect(rect, false, &[&bytes[..80]]);
    assert!(matches!(short, Err(RecordingError::PlaneOutside { .. })));
}
