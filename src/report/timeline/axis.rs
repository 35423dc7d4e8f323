//! The axes of a picture: the places of times and depths, and the labels of ticks.

use crate::clock::Nanos;
use crate::report::picture::{FONT_SIZE, text_width};

/// The gap between two labels, in pixels.
const LABEL_GAP: f64 = 14.0;

/// The horizontal axis, from the start to the end of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    pub(super) left: f64,
    pub(super) width: f64,
    pub(super) end: Nanos,
}

impl TimeAxis {
    pub(super) fn x(&self, at: Nanos) -> f64 {
        // A run may end at time 0.
        self.left + self.width * (at as f64 / self.end.max(1) as f64).min(1.0)
    }

    /// Times at equal distances, and their labels.
    pub(super) fn ticks(&self) -> Vec<(Nanos, String)> {
        let unit = TimeUnit::for_duration(self.end);
        let fits = |step: &Nanos| {
            let labels = [*step, self.end - self.end % step].map(|at| text_width(&unit.format(at)));
            let distance = self.width * *step as f64 / self.end.max(1) as f64;
            distance > labels[0].max(labels[1]) + LABEL_GAP * 2.0
        };
        let step = nice_steps().find(fits).unwrap_or(Nanos::MAX);
        (0..=self.end / step).map(|n| (n * step, unit.format(n * step))).collect()
    }
}

/// The vertical axis, from 0 at the bottom to the largest depth.
#[derive(Clone, Copy, Debug)]
pub(super) struct DepthAxis {
    pub(super) bottom: f64,
    pub(super) height: f64,
    pub(super) max: u64,
}

impl DepthAxis {
    pub(super) fn y(&self, value: f64) -> f64 {
        self.bottom - self.height * value / self.max.max(1) as f64
    }

    /// Depths at equal distances.
    pub(super) fn ticks(&self) -> Vec<u64> {
        let apart = |step: u64| self.height * step as f64 / self.max.max(1) as f64;
        let step = nice_steps().find(|&step| apart(step) > FONT_SIZE + LABEL_GAP);
        let step = step.unwrap_or(u64::MAX);
        (0..=self.max / step).map(|n| n * step).collect()
    }
}

/// 1, 2, 5, 10, 20, 50, …
fn nice_steps() -> impl Iterator<Item = u64> {
    let powers = (0..20).map_while(|power| 10u64.checked_pow(power));
    powers.flat_map(|power| [1, 2, 5].map(|digit| power.saturating_mul(digit)))
}

/// The significant digits of the end of a run.
const DIGITS: u32 = 4;

/// A time of a run that ends at `end`, as precise as a picture of the run can show.
pub(super) fn format_instant(at: Nanos, end: Nanos) -> String {
    let grain = 10u64.pow(end.max(1).ilog10().saturating_sub(DIGITS - 1));
    let rounded = at.saturating_add(grain / 2) / grain * grain;
    TimeUnit::for_duration(end).format(rounded)
}

/// The unit of times.
struct TimeUnit {
    nanos: Nanos,
    name: &'static str,
}

impl TimeUnit {
    /// The unit for all times up to `end`.
    fn for_duration(end: Nanos) -> Self {
        let (nanos, name) = match end {
            1_000_000_000.. => (1_000_000_000, "s"),
            1_000_000.. => (1_000_000, "ms"),
            1_000.. => (1_000, "µs"),
            _ => (1, "ns"),
        };
        Self { nanos, name }
    }

    fn format(&self, at: Nanos) -> String {
        let (whole, rest) = (at / self.nanos, at % self.nanos);
        let name = self.name;
        if rest == 0 {
            return format!("{whole} {name}");
        }
        let digits = self.nanos.ilog10() as usize;
        let rest = format!("{rest:0digits$}");
        format!("{whole}.{} {name}", rest.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn labels(end: Nanos, width: f64) -> Vec<String> {
        TimeAxis { left: 0.0, width, end }.ticks().into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round_and_leave_room_for_their_labels() {
        assert_eq!(
            labels(10 * SECOND, 1000.0).join(" | "),
            "0 s | 1 s | 2 s | 3 s | 4 s | 5 s | 6 s | 7 s | 8 s | 9 s | 10 s"
        );
        assert_eq!(labels(10 * SECOND, 300.0).join(" | "), "0 s | 2 s | 4 s | 6 s | 8 s | 10 s");
        assert_eq!(labels(1_500_000, 500.0).join(" | "), "0 ms | 0.5 ms | 1 ms | 1.5 ms");
        assert_eq!(labels(0, 500.0), ["0 ns"]);
        for end in [1, 7, 999, 12_345, 3 * SECOND + 1, 86_400 * SECOND, u64::MAX] {
            for width in [200.0, 1000.0] {
                let axis = TimeAxis { left: 5.0, width, end };
                let ticks = axis.ticks();
                assert_eq!(axis.x(ticks[0].0), 5.0);
                for pair in ticks.windows(2) {
                    let [(from, left), (to, right)] = pair else { unreachable!() };
                    let room = axis.x(*to) - axis.x(*from);
                    assert!(
                        room > (text_width(left) + text_width(right)) / 2.0 + LABEL_GAP,
                        "{end}"
                    );
                }
            }
        }
    }

    #[test]
    fn times_are_as_precise_as_the_picture() {
        assert_eq!(format_instant(1_500_000_000, 10 * SECOND), "1.5 s");
        assert_eq!(format_instant(1_234_567_891, 10 * SECOND), "1.23 s");
        assert_eq!(format_instant(86_399 * SECOND + 123_456_789, 86_400 * SECOND), "86400 s");
        assert_eq!(format_instant(7, 12), "7 ns");
        assert_eq!(format_instant(u64::MAX, u64::MAX).chars().next(), Some('1'));
    }

    #[test]
    fn depth_labels_do_not_overlap_at_any_height() {
        for (max, ticks) in
            [(0, vec![0]), (1, vec![0, 1]), (4, vec![0, 1, 2, 3, 4]), (137, vec![0, 50, 100])]
        {
            let height = DepthAxis { bottom: 200.0, height: 120.0, max };
            assert_eq!(height.ticks(), ticks);
            assert_eq!(height.y(0.0), 200.0);
        }
        assert_eq!(DepthAxis { bottom: 200.0, height: 120.0, max: 4 }.y(4.0), 80.0);
    }
}
