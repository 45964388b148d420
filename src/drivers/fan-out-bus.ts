import type { Bus, BusListener } from '../ports/bus.ts';

/** A bus that several rooms listen to; each hears everything. */
export function fanOutBus(bus: Bus): Bus {
  const listeners: BusListener[] = [];
  const each = (tell: (listener: BusListener) => void) => {
    for (const listener of listeners) tell(listener);
  };
  bus.listen({
    onPublication: (...delivery) => each((listener) => listener.onPublication(...delivery)),
    onPresence: (...change) => each((listener) => listener.onPresence(...change)),
    onSignal: (signal) => each((listener) => listener.onSignal(signal)),
    onDoubt: (topic) => each((listener) => listener.onDoubt(topic)),
  });
  // What a bus has as getters stays one.
  return Object.create(bus, { listen: { value: (listener: BusListener) => void listeners.push(listener) } }) as Bus;
}
