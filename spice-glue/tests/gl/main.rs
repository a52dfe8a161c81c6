//! The state machine of streams, by its rules: `orders` has what holds in any order of
//! events, the others one rule each. `world` plays driver, producer and clients, and
//! fails where an action breaks a rule.
//!
//! What spice-server 0.16 does badly, and which test keeps it from being done here:
//!
//! | there | here |
//! |---|---|
//! | a draw is forgotten where nothing can encode it: the guest hangs | `draws::a_draw_is_answered_whatever_fails` |
//! | a failed pipeline completes a draw twice | `World::answer`, `codecs::when_a_coder_fails_..` |
//! | encode, pipeline set-up and network are waited for by the guest | `draws::a_draw_never_waits_for_..` |
//! | an encoder is waited for without a limit | `codecs::a_coder_that_never_opens_..` |
//! | the slowest client gates the guest and the others | `slow::a_slow_viewer_costs_the_others_..` |
//! | a dropped last frame leaves a stale screen | `slow::the_newest_picture_reaches_..`, `stamps::a_last_mjpeg_frame_..` |
//! | geometry of the stream with the buffer of another scanout | `World::stage`, `resize::of_many_resizes_..` |
//! | a buffer is closed while it is read, or kept for ever | `World::scanout`, `World::disable` |
//! | damage is ignored | `draws::damage_is_what_was_drawn_..`, `World::stage` |
//! | one chroma, one vendor, no H.265 | `codecs::pictures_of_two_kinds_..`, `codecs::when_a_device_fails_..` |
//! | late frames halve the rate | `stamps::late_frames_change_no_rate` |
//! | a refused codec is tried again for ever | `codecs::a_codec_that_a_viewer_refuses_..` |
//! | no keyframe and no picture for a client that joins an idle guest | `joining` |
//! | one encode for each client | `joining::who_joins_others_..` |
//! | products of sizes and rates wrap | `slow::rates_of_any_size_..` |
//! | three errors and nothing is ever shown again | `codecs::an_offer_that_fails_once_in_a_while_..` |
//! | a resize is blank until the encoder is there | `resize::a_resize_keeps_the_old_picture_..` |
//! | H.264 pictures are seen when the next one comes | `gl_h264` |

mod codecs;
mod draws;
mod joining;
mod orders;
mod resize;
mod slow;
mod stamps;
mod world;
