//! Simulated runs beside the values of textbooks.

use crate::keeper::Speed;
use crate::report::{OutputFormat, textbook};
use crate::run::{Config, simulate};

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn simulated_runs_agree_with_the_values_of_textbooks() {
    const ITEMS: u64 = 10_000;
    for case in textbook::values() {
        let [producer_delay, consumer_delay] = case.delays.clone();
        let [producers, consumers] = case.workers;
        let config = Config {
            items: ITEMS,
            item_name: "item".to_owned(),
            producers,
            consumers,
            producer_delay,
            consumer_delay,
            seed: Some(1),
            capacity: case.capacity,
            speed: Speed::Max,
            respawn: 0,
            chaos: None,
            is_simulated: true,
            style: OutputFormat::Silent,
            is_viewed: false,
            warmup: Some(ITEMS / 20),
            has_json_statistics: false,
        };
        let averages: Vec<_> = (1..=10)
            .map(|seed| simulate(&config, seed, ITEMS / 20, || false).unwrap())
            .map(|summary| (case.average)(&summary.averages()))
            .collect();
        let count = averages.len() as f64;
        let mean = averages.iter().sum::<f64>() / count;
        let squares: f64 = averages.iter().map(|average| (average - mean).powi(2)).sum();
        // Student's t for nine degrees of freedom, two-sided at 0.1 %.
        let width = 4.78 * (squares / (count - 1.0) / count).sqrt() + case.tolerance * case.value;
        assert!((mean - case.value).abs() <= width, "{}: {mean} ± {width}", case.name);
        // A wide interval would prove nothing.
        assert!(width <= 0.35 * case.value, "{}: {mean} ± {width}", case.name);
    }
}
