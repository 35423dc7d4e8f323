//! Statistics of a run, gathered from its events as they come; what is kept does not grow with the
//! number of items, but for those that are in the queue.

mod batch_means;
mod summary;
mod text;
mod theory;

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::Kind;
use crate::clock::Nanos;
use crate::queue::Run;
use crate::role::{Role, Worker};
use batch_means::{Batches, Sums};
pub(crate) use summary::Summary;
pub(crate) use theory::Plant;

/// Percentiles are exact to one part in 10,000.
const DIGITS: u8 = 4;

/// Something that happened, as statistics and pictures take it in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happening<'a> {
    /// Nanoseconds since the start of the run.
    pub(crate) at: Nanos,
    pub(crate) kind: Kind,
    pub(crate) worker: Worker,
    /// The items, if it happened to some.
    pub(crate) run: Option<&'a Run>,
    /// For how long the worker had waited, for room or for an item.
    pub(crate) waited: Nanos,
}

/// Gathers.
#[derive(Debug)]
pub(crate) struct Statistics {
    plant: Plant,
    /// Items up to this number are not counted.
    warmup: u64,
    /// When counting began: with the first item that counts.
    begin: Nanos,
    /// The last event.
    now: Nanos,
    depth: u64,
    max_depth: u64,
    in_system: u64,
    sums: Sums,
    batches: Batches,
    waits: Spread,
    sojourns: Spread,
    /// What is in the system, by number from `first` on; none for what is done.
    items: VecDeque<Option<Stay>>,
    first: u64,
    /// By number from 1.
    producers: Vec<Nanos>,
    /// By number from 1.
    consumers: Vec<Hands>,
    /// Somebody died, or it was ended early: no formula is about that.
    disturbed: bool,
}

/// The stay of an item in the system.
#[derive(Clone, Copy, Debug)]
struct Stay {
    put: Nanos,
    /// For how long it has been in line, up to `since`.
    in_line: Nanos,
    /// When it came in line the last time, or was handed out.
    since: Nanos,
}

/// What a consumer has done.
#[derive(Clone, Copy, Debug, Default)]
struct Hands {
    done: u64,
    holds: u64,
    /// With something in hand.
    busy: Nanos,
}

/// How values are spread.
#[derive(Debug)]
struct Spread {
    histogram: Option<Histogram<u64>>,
    sum: u128,
    count: u64,
    least: Nanos,
    most: Nanos,
}

impl Spread {
    fn new() -> Self {
        // It can't be refused: the number of digits is in range.
        let histogram = Histogram::new(DIGITS).ok();
        Self { histogram, sum: 0, count: 0, least: Nanos::MAX, most: 0 }
    }

    fn add(&mut self, value: Nanos) {
        if let Some(histogram) = &mut self.histogram {
            // It grows with what it is given, and so refuses nothing.
            let _ = histogram.record(value);
        }
        self.sum += u128::from(value);
        self.count += 1;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    /// In nanoseconds.
    fn quantile(&self, part: f64) -> Option<Nanos> {
        let histogram = self.histogram.as_ref().filter(|_| self.count > 0)?;
        // A bucket's value may lie outside of what was in it.
        Some(histogram.value_at_quantile(part).clamp(self.least, self.most))
    }
}

impl Statistics {
    /// Of a run of this plant, without its first `warmup` items.
    pub(crate) fn new(plant: Plant, warmup: u64) -> Self {
        let [producers, consumers] = plant.workers.map(|count| count as usize);
        Self {
            plant,
            warmup,
            begin: 0,
            now: 0,
            depth: 0,
            max_depth: 0,
            in_system: 0,
            sums: Sums::default(),
            batches: Batches::of(plant.items.saturating_sub(warmup)),
            waits: Spread::new(),
            sojourns: Spread::new(),
            items: VecDeque::new(),
            first: 1,
            producers: vec![0; producers],
            consumers: vec![Hands::default(); consumers],
            disturbed: false,
        }
    }

    /// What is not as the plant was planned.
    pub(crate) fn disturb(&mut self) {
        self.disturbed = true;
    }

    /// Takes in what happened.
    pub(crate) fn take(&mut self, happening: &Happening<'_>) {
        let Happening { at, kind, worker, run, waited } = *happening;
        self.pass(at);
        let Some(run) = run else {
            return;
        };
        match kind {
            Kind::Put => self.put(worker, run, waited),
            Kind::Get => self.get(worker, run),
            Kind::Back => self.back(worker, run),
            Kind::Done => self.done(worker, run),
            Kind::Died | Kind::Restart | Kind::Left | Kind::Clear | Kind::End => {}
        }
    }

    /// What was in line has been dropped.
    pub(crate) fn clear(&mut self, at: Nanos) {
        self.pass(at);
        self.in_system -= self.depth.min(self.in_system);
        self.depth = 0;
        self.disturbed = true;
    }

    /// Time goes on.
    pub(crate) fn pass(&mut self, at: Nanos) {
        let span = at.saturating_sub(self.now);
        if span == 0 {
            return;
        }
        self.now = at;
        self.sums.time += span;
        self.sums.depth += u128::from(self.depth) * u128::from(span);
        self.sums.in_system += u128::from(self.in_system) * u128::from(span);
        for hands in self.consumers.iter_mut().filter(|hands| hands.holds > 0) {
            hands.busy += span;
            self.sums.busy += u128::from(span);
        }
    }

    fn put(&mut self, producer: Worker, run: &Run, waited: Nanos) {
        let first_counted = self.first_counted();
        if run.first <= first_counted && first_counted < run.end() {
            self.begin_to_count();
        }
        if let Some(blocked) = self.producers.get_mut(producer.number as usize - 1) {
            // As far as it lies in what is counted.
            *blocked += waited.min(self.now - self.begin);
        }
        self.sums.blocked += u128::from(waited.min(self.now - self.begin));
        let stay = Stay { put: self.now, in_line: 0, since: self.now };
        self.items.extend((0..run.count()).map(|_| Some(stay)));
        self.in_system += run.count();
        self.comes_in_line(run.count());
    }

    /// The number of the first item that counts. No run has so many items that it would not fit.
    fn first_counted(&self) -> u64 {
        self.warmup.saturating_add(1)
    }

    /// The first item that counts is there.
    fn begin_to_count(&mut self) {
        self.begin = self.now;
        self.sums = Sums::default();
        self.max_depth = self.depth;
        self.producers.fill(0);
        self.consumers.iter_mut().for_each(|hands| hands.busy = 0);
    }

    fn comes_in_line(&mut self, count: u64) {
        self.depth += count;
        self.max_depth = self.max_depth.max(self.depth);
    }

    fn get(&mut self, consumer: Worker, run: &Run) {
        self.depth -= run.count().min(self.depth);
        let now = self.now;
        for stay in self.stays(run) {
            stay.in_line += now - stay.since;
            stay.since = now;
        }
        if let Some(hands) = self.hands(consumer) {
            hands.holds += run.count();
        }
    }

    fn back(&mut self, consumer: Worker, run: &Run) {
        let now = self.now;
        self.stays(run).for_each(|stay| stay.since = now);
        self.comes_in_line(run.count());
        if let Some(hands) = self.hands(consumer) {
            hands.holds -= run.count().min(hands.holds);
        }
    }

    fn done(&mut self, consumer: Worker, run: &Run) {
        let count = run.count();
        self.in_system -= count.min(self.in_system);
        let counted = run.end().saturating_sub(run.first.max(self.first_counted()));
        if let Some(hands) = self.hands(consumer) {
            hands.holds -= count.min(hands.holds);
            hands.done += counted;
        }
        for id in run.first..run.end() {
            let stay = self.place(id).and_then(Option::take);
            if let Some(stay) = stay.filter(|_| id > self.warmup) {
                self.is_done(stay);
            }
        }
        while let Some(None) = self.items.front() {
            self.items.pop_front();
            self.first += 1;
        }
    }

    fn is_done(&mut self, stay: Stay) {
        let sojourn = self.now - stay.put;
        self.waits.add(stay.in_line);
        self.sojourns.add(sojourn);
        self.sums.items += 1;
        self.sums.wait += u128::from(stay.in_line);
        self.sums.sojourn += u128::from(sojourn);
        self.sums.waited += u64::from(stay.in_line > 0);
        self.batches.count(&self.sums);
    }

    fn hands(&mut self, consumer: Worker) -> Option<&mut Hands> {
        debug_assert!(consumer.role == Role::Consumer);
        self.consumers.get_mut(consumer.number as usize - 1)
    }

    fn place(&mut self, id: u64) -> Option<&mut Option<Stay>> {
        self.items.get_mut(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }

    fn stays(&mut self, run: &Run) -> impl Iterator<Item = &mut Stay> {
        let from = usize::try_from(run.first.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let count = usize::try_from(run.count()).unwrap_or(usize::MAX);
        self.items.iter_mut().skip(from).take(count).flatten()
    }
}
