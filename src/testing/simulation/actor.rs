//! Clients: what they say is made by the real session; what they want is a script.

use super::ledger::{Ledger, text};
use super::pipes::Open;
use super::world::Dice;
use crate::client::Said;
use crate::client::session::Session;
use std::collections::VecDeque;

use crate::clock::Stamp;
use crate::queue::{Run, Which};
use crate::role::Role;
use crate::wire::{Hello, Key, Reply};

/// A client.
pub(super) struct Actor {
    pub(super) name: u64,
    pub(super) hello: Hello,
    pub(super) session: Session,
    pub(super) mailbox: Open,
    /// Which keeper it knows; none yet.
    pub(super) keeper: Option<u64>,
    pub(super) welcomed: bool,
    /// Some keeper has welcomed it.
    pub(super) known: bool,
    pub(super) stopped: bool,
    /// It has left.
    pub(super) home: bool,
    script: Script,
    /// It waits for the answer to something.
    asked: bool,
    /// When it asked for items last, by the machine's boot clock.
    asked_at: u64,
    leaving: bool,
}

/// What a client wants.
pub(super) enum Script {
    /// Puts so many items, some at a time; `patient` or not.
    Put { left: u64, patient: bool, sent: Vec<String>, answered: usize },
    /// Gets items and deals with them until the end, or until it has had so many runs.
    /// What it is `trying` once more waits for the keeper's answer.
    Get {
        runs: u64,
        gently: bool,
        held: Vec<Run>,
        trying: VecDeque<Run>,
        said: Vec<String>,
        before: Vec<String>,
    },
    /// Waits for everything to be done.
    Join,
    /// Asks one thing.
    Ask { verb: &'static str, what: Option<&'static str> },
}

impl Actor {
    pub(super) fn new(name: u64, hello: Hello, mailbox: Open, script: Script) -> Self {
        let session = session(name, &hello);
        Self {
            name,
            hello,
            session,
            mailbox,
            keeper: None,
            welcomed: false,
            known: false,
            stopped: false,
            home: false,
            script,
            asked: false,
            asked_at: 0,
            leaving: false,
        }
    }

    /// As another client, since the keeper went before it had welcomed this one.
    pub(super) fn begin_anew(&mut self, name: u64, mailbox: Open) {
        self.name = name;
        self.hello.mailbox = Some(Key(name));
        self.session = session(name, &self.hello);
        self.mailbox = mailbox;
    }

    /// It is not one of those who have come for what has ended.
    pub(super) fn came_late(&mut self, born: Stamp) {
        if self.keeper.is_some() || !self.consumes() {
            return;
        }
        self.hello.born = born;
        self.session = session(self.name, &self.hello);
    }

    pub(super) fn mailbox_name(&self) -> String {
        self.hello.mailbox_name(Key(self.name))
    }

    pub(super) fn consumes(&self) -> bool {
        matches!(self.script, Script::Get { .. })
    }

    /// Says what is to be said next.
    pub(super) fn go_on(&mut self, now: u64, dice: &mut Dice, ledger: &mut Ledger) {
        if self.home || !self.welcomed {
            return;
        }
        let leaves = match &mut self.script {
            Script::Put { left, patient, sent, answered } => {
                if *left > 0 && sent.len() - *answered < 8 && !self.asked {
                    let count = (1 + dice.below(4)).min(*left);
                    let mut lines = Vec::new();
                    for _ in 0..count {
                        // Some are longer than a write.
                        let filler = if dice.one_in(40) { "x".repeat(600) } else { String::new() };
                        let item =
                            format!("\"{:08}-{:06}{filler}\"", self.name, sent.len() + lines.len());
                        lines.push(item);
                    }
                    put(&mut self.session, &lines);
                    sent.extend(lines);
                    *left -= count;
                    if !*patient {
                        self.session.cancel();
                        self.asked = true;
                    }
                }
                *left == 0 && sent.len() == *answered
            }
            Script::Get { runs, gently, held, trying, said, .. } => {
                deal(&mut self.session, *gently, (held, trying), said, dice, ledger);
                if !self.asked && *runs > 0 && (held.is_empty() || dice.one_in(4)) {
                    self.session.get(1 + dice.below(5));
                    if let Script::Get { said, before, .. } = &mut self.script {
                        before.append(said);
                    }
                    self.asked = true;
                    self.asked_at = now;
                    false
                } else {
                    *runs == 0 && held.is_empty() && trying.is_empty() && !self.asked
                }
            }
            Script::Join => {
                if !std::mem::replace(&mut self.asked, true) {
                    self.session.join();
                }
                false
            }
            Script::Ask { verb, what } => {
                if !std::mem::replace(&mut self.asked, true) {
                    let what = what.as_ref().map(|what| what as &dyn std::fmt::Display);
                    self.session.ask(verb, what);
                }
                false
            }
        };
        if leaves {
            self.leave();
        }
        self.session.close_write();
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) {
            self.session.ask("bye", None);
        }
    }

    /// Takes in what the keeper says.
    pub(super) fn hear(
        &mut self,
        now: u64,
        reply: Reply,
        ledger: &mut Ledger,
    ) -> Result<(), String> {
        match (reply, &mut self.script) {
            (Reply::Bye { .. }, _) => self.home = true,
            (Reply::Error { code, .. }, _) if matches!(code.as_str(), "not-failed" | "in-use") => {
                self.leave();
            }
            // The keeper cannot go on, and says so: what this one has goes back.
            (Reply::Error { .. }, _) => {
                ledger.repeats = true;
                self.home = true;
            }
            (Reply::Ok { seq, id, .. }, Script::Put { sent, answered, .. }) => {
                let seq = usize::try_from(seq).unwrap();
                for (at, item) in sent.iter().enumerate().take(seq).skip(*answered) {
                    ledger.accepted(item, id - (seq - 1 - at) as u64)?;
                }
                *answered = seq;
            }
            (Reply::Closed { seq } | Reply::Full { seq }, Script::Put { sent, answered, .. }) => {
                let seq = usize::try_from(seq).unwrap();
                for item in &sent[*answered..seq] {
                    ledger.refused(item)?;
                }
                *answered = seq;
            }
            (Reply::Run(run), Script::Get { runs, held, before, .. }) => {
                ledger.seen(self.name, &run)?;
                let until = self.hello.lease.map(|lease| self.asked_at + lease);
                ledger.lent(self.name, &run, now, until)?;
                if self.hello.lease.is_none() {
                    before.drain(..).for_each(|item| ledger.heard_done(&item));
                }
                held.push(run);
                *runs = runs.saturating_sub(1);
                self.asked = false;
            }
            (Reply::Count { items }, Script::Get { held, trying, .. }) => {
                if let Some(mut run) = trying.pop_front().filter(|_| items > 0) {
                    run.attempt += 1;
                    ledger.begun(&run)?;
                    held.push(run);
                }
            }
            (Reply::Ended, Script::Get { runs, .. }) => {
                *runs = 0;
                self.asked = false;
            }
            (Reply::Empty, Script::Get { .. }) => self.asked = false,
            (Reply::Cancelled, Script::Put { .. }) => self.asked = false,
            (Reply::Joined { .. } | Reply::Count { .. } | Reply::Size { .. }, _) => self.leave(),
            _ => {}
        }
        Ok(())
    }
}

fn session(name: u64, hello: &Hello) -> Session {
    // Short writes: more of them.
    Session::new(Key(name), hello.clone(), 400).unwrap()
}

fn put(session: &mut Session, lines: &[String]) {
    let whole: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if whole.len() <= session.room() {
        return session.put(lines.len() as u64, whole.into_bytes());
    }
    for line in lines {
        session.put(1, format!("{line}\n").into_bytes());
    }
}

/// Does something with what is held.
fn deal(
    session: &mut Session,
    gently: bool,
    (held, trying): (&mut Vec<Run>, &mut VecDeque<Run>),
    said: &mut Vec<String>,
    dice: &mut Dice,
    ledger: &mut Ledger,
) {
    while !held.is_empty() && !dice.one_in(3) {
        let at = usize::try_from(dice.below(held.len() as u64)).unwrap();
        let run = &mut held[at];
        let part = run.split_to(1 + dice.below(run.count()));
        if run.count() == 0 {
            held.remove(at);
        }
        let which = part.which();
        match dice.below(9) {
            8 if which.count == 1 => {
                let attempt = format!("{} {}", part.first, part.attempt + 1);
                session.ask("attempt", Some(&attempt));
                trying.push_back(part);
            }
            0 if !gently => {
                ledger.repeats = true;
                session.say(Said::About { verb: "back", which });
            }
            1 if !gently => fail(session, which),
            _ => {
                for (_, item) in part.items() {
                    ledger.said_done(&text(item));
                    said.push(text(item));
                }
                session.say(Said::About { verb: "done", which });
            }
        }
    }
}

fn fail(session: &mut Session, which: Which) {
    for id in which.first..which.first + which.count {
        let attempt = which.attempt.unwrap_or(1);
        session.say(Said::Failed { id, attempt, tries: 1, why: "odd".to_owned() });
    }
}

/// Comes as this.
pub(super) fn hello(name: u64, role: Role) -> Hello {
    Hello { pid: 1, mailbox: Some(Key(name)), ..Hello::new(role) }
}
