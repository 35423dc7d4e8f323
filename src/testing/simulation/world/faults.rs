//! The faults of a simulation.

use super::Simulation;
use crate::wire::Request;

impl Simulation {
    pub(super) fn inject_fault(&mut self) -> Result<(), String> {
        let client = match self.clients.len() as u64 {
            0 => return Ok(()),
            count => self.rng.below(count) as usize,
        };
        match self.rng.below(11) {
            0 | 1 if self.faults.keeper_dies => self.kill_keeper(),
            2 if self.faults.clients_die => self.kill_client(client),
            3 if self.faults.clients_die && self.clients.len() < 8 => self.add_consumer(),
            4 | 5 => {
                let stopped = self.clients[client].is_stopped;
                self.clients[client].is_stopped = !stopped && self.rng.one_in(4);
            }
            6 if self.faults.disk_fills => {
                let free = self.rng.below(300) as usize;
                let free = (!self.rng.one_in(2)).then_some(free);
                self.log(|| format!("the disk has {free:?} free bytes"));
                self.disk.set_free_bytes(free);
            }
            7 if self.faults.power_fails && self.rng.one_in(3) => self.lose_power(),
            8 if self.faults.keeper_stops => {
                self.stopped_steps = self.rng.below(100);
                self.log(|| format!("the keeper stops for {} steps", self.stopped_steps));
            }
            9 if self.faults.keeper_stops && self.stopped_steps > 0 => self.abandon_keeper(client),
            10 if self.faults.clock_jumps => {
                self.wall = self.rng.below(10_000_000);
                self.log(|| format!("the wall clock is set to {}", self.wall));
            }
            _ => {}
        }
        Ok(())
    }

    /// Kills the keeper at once, or after some more bytes written to the disk or sent to clients.
    fn kill_keeper(&mut self) {
        let (how, bytes) = (self.rng.below(3), self.rng.below(300) as usize);
        match (&mut self.running_keeper, how) {
            (Some(_), 0) => self.disk.kill_after(Some(bytes)),
            (Some(running), 1) => running.host.kill_after = Some(bytes),
            _ => {
                self.log(|| "the keeper is killed".to_owned());
                self.disk.kill_after(None);
                self.running_keeper = None;
            }
        }
    }

    fn kill_client(&mut self, at: usize) {
        let client = self.clients.swap_remove(at);
        self.log(|| format!("{} is killed", client.key));
        client.pipes.close();
    }

    /// The client gives up waiting for the keeper: sends `cancel` and `bye`, and dies without the replies.
    fn abandon_keeper(&mut self, at: usize) {
        let mut client = self.clients.swap_remove(at);
        self.log(|| format!("{} gives up", client.key));
        client.session.add_request(Request::Cancel);
        client.session.add_request(Request::Bye);
        self.clients.push(client);
        let at = self.clients.len() - 1;
        for _ in 0..3 {
            self.write(at);
        }
        self.kill_client(at);
    }

    /// Kills all processes, and loses the unsynced end of the disk.
    fn lose_power(&mut self) {
        self.log(|| "power fails".to_owned());
        self.disk.kill_after(None);
        self.running_keeper = None;
        while !self.clients.is_empty() {
            self.kill_client(0);
        }
        self.directory.borrow_mut().clear();
        let rng = &mut self.rng;
        self.disk.lose_power(|unsynced| rng.below(unsynced as u64 + 1) as usize);
        self.add_initial_clients();
    }
}
