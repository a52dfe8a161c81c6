//! What cannot be is refused, with the value and the bound.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::*;

/// A file whose records hold these bytes, compressed as they should be.
fn file_of(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut file = RecordingWriter::new(Vec::new(), "").unwrap().into_output();
    for payload in payloads {
        file.extend(record_of(payload));
    }
    file
}

fn record_of(payload: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(payload).unwrap();
    let packed = encoder.finish().unwrap();
    let mut record = Vec::from((packed.len() as u32).to_le_bytes());
    record.extend((payload.len() as u32).to_le_bytes());
    record.extend(packed);
    record
}

/// The bytes of an event, without head and compression.
fn payload_of(event: &Event) -> Vec<u8> {
    let patches = match &event.kind {
        EventKind::Scanout(scanout) => scanout.patches.as_slice(),
        EventKind::Update(update) => &update.patches,
        _ => &[],
    };
    let rows = |patch| wire::PatchRows {
        patch,
        first: 0,
        rows: patch.rows,
    };
    let mut payload = Vec::new();
    let patches: Vec<_> = patches.iter().map(rows).collect();
    wire::write_event(&mut payload, event, &patches);
    payload
}

#[track_caller]
fn assert_refused(file: &[u8], words: &[&str]) {
    let error = read(file).map(|(events, end)| format!("{events:?} {end:?}"));
    let error = error.unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{word:?} is missing in {error:?}");
    }
}

#[test]
fn files_that_are_no_recordings_are_refused() {
    let good = written(&[]);
    read(&good).unwrap();
    assert_refused(b"", &["ends after 0 bytes"]);
    assert_refused(b"\x89SCN", &["ends after 4 bytes"]);
    assert_refused(&good[..11], &["ends after 11 bytes"]);
    assert_refused(&good[..14], &["ends after 14 bytes"]);
    assert_refused(b"YUV4MPEG2 W2 H2", &["not a recording", "59, 55, 56"]);
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    assert_refused(&patched(8, &[2, 0]), &["version 2", "only version 1"]);
    assert_refused(&patched(8, &[0xff; 2]), &["version 65535"]);
    assert_refused(&patched(10, &[0xff; 2]), &["65535 bytes", "1024"]);
    assert_refused(&patched(12, &[0xff; 2]), &["UTF-8"]);
    assert_refused(&[&good[..], &[0]].concat(), &["goes on after"]);
    let long = "n".repeat(1025);
    let error = RecordingWriter::new(Vec::new(), &long).unwrap_err();
    assert!(error.to_string().contains("1025 bytes"), "{error}");
}

#[test]
fn lengths_of_records_are_bounded_before_memory_is_taken() {
    let head = file_of(&[]);
    let record = |packed: u32, raw: u32, bytes: &[u8]| {
        [&head, &packed.to_le_bytes()[..], &raw.to_le_bytes(), bytes].concat()
    };
    let most = MAX_RECORD.to_string();
    assert_refused(&record(9, 0, &[]), &["size of 0", "9 to"]);
    assert_refused(&record(9, u32::MAX, &[]), &["size of 4294967295", &most]);
    assert_refused(&record(0, 9, &[]), &["compressed size of 0"]);
    assert_refused(&record(u32::MAX, 9, &[]), &["4294967295", "8 to 73"]);
    // More than deflate can hold in so few bytes.
    let bomb = record(100, 1 << 28, &[0; 100]);
    assert_refused(&bomb, &["compressed size of 100", "260111 to"]);
    // As much as it can, but more than is said: no more than that is inflated.
    let zeros = record_of(&vec![0; 1 << 24]);
    let packed = u32::from_le_bytes([zeros[0], zeros[1], zeros[2], zeros[3]]);
    let lie = record(packed, packed, &zeros[8..]);
    let seen = (packed + 1).to_string();
    assert_refused(&lie, &["says that it has", &packed.to_string(), &seen]);
    let short = record(packed, (1 << 24) + 1, &zeros[8..]);
    assert_refused(&short, &["says that it has 16777217", "16777216"]);
    let good = record_of(&[0; 9]);
    let behind = [&good[8..], &[1, 2, 3]].concat();
    let behind = record(behind.len() as u32, 9, &behind);
    assert_refused(&behind, &["says that it has"]);
    let mut broken = good.clone();
    *broken.last_mut().unwrap() ^= 1;
    assert_refused(&[&head[..], &broken].concat(), &["record 1", "decompress"]);
}

#[test]
fn records_of_another_form_are_refused() {
    let end = |time: u64| [&[0][..], &time.to_le_bytes()].concat();
    let refused = |payload: Vec<u8>, words: &[&str]| assert_refused(&file_of(&[payload]), words);
    refused([9; 10].to_vec(), &["flag of an answer is 9"]);
    refused([&[9][..], &[0; 9]].concat(), &["kind of event is 9"]);
    refused(end(u64::MAX), &["18446744073.7", "86400s"]);
    refused([&end(0)[..], &[0]].concat(), &["bytes left in its end"]);
    let size = Size::new(4, 4);
    let shown = at(0, EventKind::Scanout(scanout(1, size, &[1; 64])));
    let payload = payload_of(&shown);
    read(&file_of(std::slice::from_ref(&payload))).unwrap();
    for length in 9..payload.len() {
        let file = file_of(&[payload[..length].to_vec()]);
        let error = read(&file).unwrap_err().to_string();
        let told = error.starts_with("record 1 ends in ") || error.contains("number of patches");
        assert!(told, "{length} bytes: {error}");
    }
    // Fields by their place: delivery, planes, orientation, objects, exporter.
    for (at, value, words) in [
        (10, 4, &["way a scanout came is 4"][..]),
        (31, 5, &["number of planes is 5"]),
        (57, 2, &["bottom up is 2"]),
        (58, 0, &["in a patch"]),
        (71, 2, &["flag of an exporter is 2"]),
        (73, 0xff, &["no UTF-8"]),
        (83, 0xff, &["number of patches of"]),
    ] {
        let mut payload = payload.clone();
        payload[at] = value;
        refused(payload, words);
    }
}

#[test]
fn events_that_do_not_hold_together_are_refused_by_reader_writer_and_player() {
    let size = Size::new(4, 4);
    let shown = scanout(1, size, &[1; 64]);
    let changed = |change: &dyn Fn(&mut Scanout)| {
        let mut changed = shown.clone();
        change(&mut changed);
        EventKind::Scanout(changed)
    };
    let update = |rect: Rect| {
        let patches = Vec::new();
        EventKind::Update(Update { rect, patches })
    };
    let patched = |change: &dyn Fn(&mut Patch)| {
        let mut patch = Patch::whole(0, &[3; 64]).remove(0);
        change(&mut patch);
        let (rect, patches) = (Rect::of(size), vec![patch]);
        EventKind::Update(Update { rect, patches })
    };
    let cursor = |size: Size, bytes: usize| {
        EventKind::CursorDefine(CursorShape {
            size,
            hot_x: 0,
            hot_y: 0,
            argb: vec![0; bytes],
        })
    };
    let far = u32::MAX;
    for (kind, words) in [
        (changed(&|s| s.layout.size = Size::default()), &["0x0"][..]),
        (changed(&|s| s.layout.size.width = far), &["4294967295x4"]),
        (
            changed(&|s| s.view.content.width = 0),
            &["content", "empty"],
        ),
        (changed(&|s| s.view.content.x = 1), &["1,0 4x4", "4x4"]),
        (changed(&|s| s.view.content.x = far), &["4294967295,0"]),
        (changed(&|s| s.layout.planes.clear()), &["0 planes", "4"]),
        (changed(&|s| s.objects.clear()), &["0 objects"]),
        (changed(&|s| s.objects[0].size = 0), &["objects of 0 bytes"]),
        (
            changed(&|s| s.objects[0].size = MAX_KEPT_BYTES + 1),
            &["268435457", "268435456"],
        ),
        (changed(&|s| s.objects[0].size = u64::MAX), &["268435456"]),
        (
            changed(&|s| s.objects.push(s.objects[0].clone())),
            &["object 1 is listed twice"],
        ),
        (
            changed(&|s| s.objects[0].exporter = Some("e".repeat(256))),
            &["256 bytes", "255"],
        ),
        (
            changed(&|s| s.layout.planes[0].object = 1),
            &["a plane lies in object 1", "only 1"],
        ),
        (changed(&|s| s.patches[0].object = 255), &["object 255"]),
        (update(Rect::new(1, 0, 4, 4)), &["1,0 4x4", "4x4"]),
        (update(Rect::new(far, far, far, far)), &["4294967295"]),
        (update(Rect::new(0, far, 1, 1)), &["4294967295"]),
        (patched(&|p| p.object = 1), &["a patch lies in object 1"]),
        (patched(&|p| p.offset = 1), &["ends at byte 65", "only 64"]),
        (patched(&|p| p.offset = u64::MAX), &["only 64"]),
        (patched(&|p| p.rows = 2), &["2 rows of 64", "64 bytes of"]),
        (patched(&|p| (p.rows, p.data) = (0, vec![])), &["0 rows"]),
        (
            patched(&|p| (p.row_bytes, p.data) = (0, vec![])),
            &["of 0 bytes"],
        ),
        (
            patched(&|p| (p.rows, p.row_bytes, p.stride) = (2, 32, 31)),
            &["stride 31", "overlap"],
        ),
        (
            patched(&|p| (p.rows, p.row_bytes, p.stride) = (2, 32, far)),
            &["ends at byte 4294967327"],
        ),
        (cursor(Size::new(0, 0), 0), &["pointer of 0x0"]),
        (cursor(Size::new(2, 2), 15), &["15 bytes"]),
        (cursor(Size::new(513, 1), 2052), &["513x1", "512"]),
    ] {
        let first = at(5, EventKind::Scanout(shown.clone()));
        let event = at(5, kind);
        let mut player = Player::new();
        player.apply(&first).unwrap();
        let before = player.object(0).map(<[u8]>::to_vec);
        let error = player.apply(&event).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word:?} is missing in {error:?}");
        }
        assert_eq!(player.object(0), before.as_deref(), "{error}");
        let mut writer = RecordingWriter::new(Vec::new(), "").unwrap();
        writer.write(&first).unwrap();
        assert_eq!(writer.write(&event).unwrap_err().to_string(), error);
        // What was refused is not in the file.
        assert_eq!(read(&writer.into_output()).unwrap().0.len(), 1);
        let file = file_of(&[payload_of(&first), payload_of(&event)]);
        let mut reader = RecordingReader::new(&file[..]).unwrap();
        reader.next_event().unwrap();
        assert!(reader.next_event().is_err(), "{error}");
        assert_eq!((reader.next_event().unwrap(), reader.end()), (None, None));
    }
}

#[test]
fn time_does_not_go_back_and_nothing_is_updated_before_it_is_shown() {
    let shown = at(5, EventKind::Scanout(scanout(1, Size::new(2, 2), &[0; 16])));
    let update = |ms| {
        at(
            ms,
            EventKind::Update(Update {
                rect: Rect::default(),
                patches: Vec::new(),
            }),
        )
    };
    let refused = |events: &[Event], word: &str| {
        let payloads: Vec<_> = events.iter().map(payload_of).collect();
        assert_refused(&file_of(&payloads), &[word]);
    };
    refused(&[shown.clone(), update(4)], "time 4ms after 5ms");
    refused(&[update(4)], "nothing is shown");
    let disabled = [shown.clone(), at(5, EventKind::Disable), update(6)];
    refused(&disabled, "nothing is shown");
    let day = at(24 * 3600 * 1000 + 1, EventKind::Disable);
    refused(&[day], "at most 86400s");
    let mut writer = RecordingWriter::new(Vec::new(), "").unwrap();
    writer.write(&shown).unwrap();
    let error = writer.finish(Duration::from_millis(4)).unwrap_err();
    assert!(error.to_string().contains("4ms after 5ms"), "{error}");
}
