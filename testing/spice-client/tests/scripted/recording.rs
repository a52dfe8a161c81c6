//! What came is recorded, in order and as it was.

use scanout_spice::wire::base::BaseServerMessage;
use scanout_spice::wire::display::{Codec, DisplayServerMessage};
use scanout_spice::wire::main::MainServerMessage;
use scanout_spice_client::Event;
use scanout_spice_client::judge::Fault;

use super::peer::{LONG, encoded, jpeg, session, start};

#[test]
fn a_stream_is_recorded_with_its_pictures() {
    let (_main, mut peer, client) = session(|config| config.keep_pictures = true);
    peer.send(&start(Codec::Mjpeg));
    peer.send(&jpeg(1_000_500, 100));
    // In pieces, of which the last has the start of the next.
    let next = [jpeg(1_000_600, 70_000), jpeg(1_000_700, 50)].concat();
    for part in next.chunks(9_999) {
        peer.send(part);
    }
    peer.send(&encoded(|out| {
        DisplayServerMessage::StreamDestroy { stream_id: 1 }.encode(out)
    }));
    let display = client.display(0).unwrap();
    display
        .wait_for(LONG, |log| (log.records.len() == 7).then_some(()))
        .unwrap();
    display.look(|log| {
        let events: Vec<_> = log.events().collect();
        assert!(
            matches!(events[0], Event::SurfaceCreated(surface) if surface.width == 64),
            "{events:?}"
        );
        assert!(matches!(events[1], Event::Mark), "{events:?}");
        assert!(
            matches!(events[2], Event::StreamCreated(stream) if stream.id == 1),
            "{events:?}"
        );
        assert!(matches!(events[6], Event::StreamDestroyed(1)), "{events:?}");
        let pictures: Vec<_> = log.pictures().collect();
        let sizes: Vec<_> = pictures
            .iter()
            .map(|picture| (picture.size, picture.mm_time))
            .collect();
        assert_eq!(
            sizes,
            [(100, 1_000_500), (70_000, 1_000_600), (50, 1_000_700)]
        );
        for picture in &pictures {
            assert!(picture.keyframe && picture.codec == Codec::Mjpeg && !picture.refused);
            let data = picture.data.as_deref().unwrap();
            assert!(
                data.len() == picture.size
                    && data.starts_with(&[0xff, 0xd8])
                    && data.ends_with(&[0xff, 0xd9])
            );
        }
        // The clock was 1,000,000 when INIT came, which is not a minute ago.
        let margins: Vec<_> = pictures
            .iter()
            .map(|picture| picture.margin_ms.unwrap())
            .collect();
        assert!(
            margins[0] <= 500 && margins[2] <= 700 && margins[2] > -60_000,
            "{margins:?}"
        );
        assert!(
            log.records
                .is_sorted_by_key(|record| (record.number, record.at))
        );
        assert!(log.records.iter().all(|record| record.began <= record.at));
        assert_eq!(log.gaps().count(), 2);
        let bytes = start(Codec::Mjpeg).len() + 18 * 3 + 70_150 + 10;
        assert_eq!(log.bytes, bytes as u64);
    });
    assert_eq!(client.violations(), []);
}

#[test]
fn pictures_of_a_stream_that_took_an_old_ones_id_are_told_apart() {
    let (_main, mut peer, client) = session(|_| {});
    let again = start(Codec::Mjpeg).split_off(26 + 6);
    peer.send(&start(Codec::Mjpeg));
    peer.send(&jpeg(5, 10));
    peer.send(&encoded(|out| {
        DisplayServerMessage::StreamDestroy { stream_id: 1 }.encode(out)
    }));
    peer.send(&again);
    peer.send(&jpeg(4, 10));
    let streams = client.display(0).unwrap().wait_for(LONG, |log| {
        let streams: Vec<_> = log.pictures().map(|picture| picture.stream).collect();
        (streams.len() == 2).then_some(streams)
    });
    assert_eq!(streams.unwrap(), [0, 1]);
    assert_eq!(client.violations(), []);
}

#[test]
fn what_is_wrong_is_recorded_with_its_place_and_the_channel_goes_on() {
    let (mut main, mut peer, client) = session(|_| {});
    peer.send(&start(Codec::Mjpeg));
    peer.send(&[125, 0, 1, 0, 0, 0, 9]);
    peer.send(&jpeg(0, 10));
    let display = client.display(0).unwrap();
    display
        .wait_for(LONG, |log| log.pictures().next().map(drop))
        .unwrap();
    let violations: Vec<_> = client
        .violations()
        .into_iter()
        .map(|found| (found.message, found.kind, found.fault))
        .collect();
    assert!(
        matches!(
            &violations[..],
            [
                (3, 125, Fault::Malformed(_)),
                (4, 123, Fault::Zero("a stamp"))
            ]
        ),
        "{violations:?}"
    );
    main.send(&encoded(|out| {
        MainServerMessage::MultiMediaTime(0).encode(out)
    }));
    let clock = client.channels()[0].wait_for(LONG, |log| {
        log.events()
            .find(|event| **event == Event::Clock(0))
            .cloned()
    });
    clock.unwrap();
    assert_eq!(client.violations().len(), 3);
}

#[test]
fn a_wait_that_fails_says_what_there_was() {
    let (_main, mut peer, client) = session(|_| {});
    peer.send(&encoded(|out| {
        BaseServerMessage::SetAck {
            generation: 1,
            window: 5,
        }
        .encode(out)
    }));
    let display = client.display(0).unwrap();
    display
        .wait_for(LONG, |log| log.events().next().map(drop))
        .unwrap();
    let limit = std::time::Duration::from_millis(10);
    let error = display
        .wait_for(limit, |log| log.pictures().next().map(drop))
        .unwrap_err();
    assert_eq!((error.records, error.end), (1, None));
    // A channel that is over is not waited for.
    drop(peer);
    let error = display
        .wait_for(LONG, |log| log.pictures().next().map(drop))
        .unwrap_err();
    assert!(error.end.is_some());
}
