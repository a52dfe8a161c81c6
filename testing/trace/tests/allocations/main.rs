//! Drawing frames and reading Y4M allocate nothing in steady state, so that a
//! bench which uses them as its workload measures the encoder alone.

mod sys;

use scanout_core::geometry::Size;
use scanout_trace::desktop::{Desktop, Scenario};
use scanout_trace::source::{FrameReader, Y4mReader};

// One test: the counter is that of the whole process.
#[test]
fn steady_state_allocates_nothing() {
    for scenario in Scenario::ALL {
        let mut desktop = Desktop::new(Size::new(640, 360), scenario, 1, 30).unwrap();
        desktop.next_frame();
        let before = sys::allocations();
        for _ in 0..400 {
            desktop.next_frame();
        }
        assert_eq!(sys::allocations() - before, 0, "{scenario}");
    }

    let mut file = b"YUV4MPEG2 W64 H48 C420\n".to_vec();
    for _ in 0..100 {
        file.extend(b"FRAME\n");
        file.extend([7; 64 * 48 * 3 / 2]);
    }
    let mut reader = Y4mReader::new(&file[..]).unwrap();
    reader.next_frame().unwrap();
    let before = sys::allocations();
    let mut frames = 1;
    while reader.next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert_eq!((frames, sys::allocations() - before), (100, 0));
}
