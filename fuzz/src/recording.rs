//! Recordings of a display producer: what is accepted must play, become frames,
//! and be written again.

use std::io::Cursor;
use std::path::Path;

use scanout_core::geometry::Rect;
use scanout_trace::recording::{Event, Player, Recording, RecordingReader, RecordingWriter};
use scanout_trace::source::{FrameRate, PictureChoice, RecordingSource};

use crate::readers::{MAX_PIXELS, read};

/// The first byte says what the rest is: 0, a file as it stands; else the
/// records of one, each behind two bytes of length. Those are compressed here,
/// as no mutation would come past the compression.
pub(crate) fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, file)) => of_file(file),
        Some((_, records)) => of_file(&file_of(records)),
        None => {}
    }
}

fn of_file(file: &[u8]) {
    let Ok(mut reader) = RecordingReader::new(file) else {
        return;
    };
    let mut player = Player::new();
    let mut events: Vec<Event> = Vec::new();
    let whole = loop {
        match reader.next_event() {
            Ok(Some(event)) => {
                let damage = player.apply(&event).expect("what is read can be played");
                if let Some(scanout) = player.scanout() {
                    let picture = Rect::of(scanout.view.content.size());
                    assert!(damage.rects().iter().all(|rect| picture.contains(*rect)));
                    assert_eq!(player.objects().count(), scanout.objects.len());
                    for (bytes, object) in player.objects().zip(&scanout.objects) {
                        assert_eq!(bytes.len() as u64, object.size);
                    }
                }
                events.push(event);
            }
            Ok(None) => break true,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break false;
            }
        }
    };
    written_again(&events, &player);
    if !whole {
        return;
    }
    assert!(reader.end().is_some());
    let Ok(recording) = RecordingReader::new(file).and_then(Recording::read) else {
        return;
    };
    assert!(
        recording
            .pictures
            .iter()
            .all(|p| p.shown <= recording.duration)
    );
    for (picture, number) in recording.pictures.iter().zip(1..=4) {
        if picture.size.area() > MAX_PIXELS {
            continue;
        }
        let (input, choice) = (Cursor::new(file), PictureChoice::Number(number));
        let fps = FrameRate::whole(60);
        if let Ok(source) = RecordingSource::new(Path::new("fuzz"), input, choice, fps) {
            read(source);
        }
    }
}

/// Events that were accepted are accepted again, and leave the same bytes.
fn written_again(events: &[Event], played: &Player) {
    let mut writer = RecordingWriter::new(Vec::new(), "").expect("memory can be written");
    for event in events {
        writer.write(event).expect("what was read can be written");
    }
    let end = writer.last_time();
    let file = writer
        .finish(end)
        .expect("the end is not before the last event");
    let mut player = Player::new();
    let mut count = 0;
    for event in RecordingReader::new(&file[..]).expect("a good head") {
        let event = event.expect("what was written can be read");
        player.apply(&event).expect("what is read can be played");
        count += 1;
    }
    assert_eq!(count, events.len());
    let total: usize = played.objects().map(<[u8]>::len).sum();
    // Comparing huge memory costs only time.
    if total as u64 <= MAX_PIXELS * 4 {
        assert!(player.objects().eq(played.objects()));
    }
}

fn file_of(mut records: &[u8]) -> Vec<u8> {
    let writer = RecordingWriter::new(Vec::new(), "").expect("memory can be written");
    let mut file = writer.into_output();
    while let [a, b, rest @ ..] = records {
        let length = usize::from(u16::from_le_bytes([*a, *b]));
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        let packed = stored(payload);
        file.extend((packed.len() as u32).to_le_bytes());
        file.extend((payload.len() as u32).to_le_bytes());
        file.extend(packed);
        records = rest;
    }
    file
}

/// A zlib stream of one block that is not compressed.
fn stored(payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend(payload);
    let (mut a, mut b) = (1u32, 0u32);
    for byte in payload {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    stream.extend(((b << 16) | a).to_be_bytes());
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs that stop at their first byte would test nothing.
    #[test]
    fn good_recordings_of_the_corpus_are_read_to_their_end() {
        for (name, events) in [
            ("shown-and-drawn", 4),
            ("flipped-and-disabled", 4),
            ("later", 7),
            ("huge-object", 2),
        ] {
            let target = crate::target("recording").unwrap();
            let input = std::fs::read(crate::corpus_dir(&target).join(name)).unwrap();
            let file = file_of(&input[1..]);
            let reader = RecordingReader::new(&file[..]).unwrap();
            let read: Vec<_> = reader.map_while(Result::ok).collect();
            assert_eq!(read.len(), events, "{name}");
        }
    }
}
