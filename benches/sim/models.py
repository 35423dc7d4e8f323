#!/usr/bin/env python3
"""The same M/M/1 queue in SimPy and in Ciw, as the documentation of each writes it.

    models.py simpy|ciw ITEMS

Prints the mean waiting time, and the CPU seconds that the simulation took without the start of Python and the imports.
"""

import random
import statistics
import sys
import time

ARRIVAL_RATE = 1.0
SERVICE_RATE = 2.0


def simpy_mm1(items):
    """SimPy's example of a Store, with random delays, and with the time of the put beside each item."""
    import simpy

    def producer(env, store):
        for i in range(items):
            yield env.timeout(random.expovariate(ARRIVAL_RATE))
            yield store.put((env.now, f"item {i}"))

    def consumer(env, store, waits):
        for _ in range(items):
            put_at, _item = yield store.get()
            waits.append(env.now - put_at)
            yield env.timeout(random.expovariate(SERVICE_RATE))

    start = time.process_time()
    env = simpy.Environment()
    store = simpy.Store(env)
    waits = []
    env.process(producer(env, store))
    env.process(consumer(env, store, waits))
    env.run()
    return statistics.fmean(waits), time.process_time() - start


def ciw_mm1(items):
    """Ciw's example of an M/M/1 queue."""
    import ciw

    start = time.process_time()
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=ARRIVAL_RATE)],
        service_distributions=[ciw.dists.Exponential(rate=SERVICE_RATE)],
        number_of_servers=[1],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(items, method="Finish")
    waits = [record.waiting_time for record in simulation.get_all_records()]
    return statistics.fmean(waits), time.process_time() - start


if __name__ == "__main__":
    run = {"simpy": simpy_mm1, "ciw": ciw_mm1}[sys.argv[1]]
    print(*run(int(sys.argv[2])))
