/** Which device a model runs on. */
import { DeviceError, UnsupportedError } from "../errors.ts";
import { addon, type DeviceInfo, type NativeDevice } from "../native/binding.ts";
import { findCuda } from "../native/cuda.ts";
import { withPublicErrors } from "../native/error-table.ts";

export type Device = "auto" | NativeDevice;

export interface ChosenDevice {
  readonly device: NativeDevice;
  /** The plug-in that has it. */
  readonly plugin?: string;
  /** Of its memory, now. */
  readonly freeBytes: number;
  /** Why "auto" did not take the CUDA device whose plug-in is there, as a sentence. */
  readonly notice?: string;
}

/** What a model asks for that the CPU alone can do, as a sentence's subject; undefined: nothing. */
export type CpuOnly = string | undefined;

export function isDevice(value: unknown): value is Device {
  return typeof value === "string" && /^(auto|cpu|reference|cuda:\d{1,3})$/.test(value);
}

/**
 * "auto" is the first CUDA device, where its plug-in finds one that can do what is asked, else the CPU.
 *
 * @throws DeviceError, saying why, where the device asked for is not here; UnsupportedError where it cannot do
 *   `cpuOnly`.
 */
export function chooseDevice(asked: Device, cpuOnly: CpuOnly): ChosenDevice {
  const hosts = withPublicErrors(() => addon().devices());
  const host = (name: NativeDevice) => ({ device: name, freeBytes: freeBytesOf(hosts, name) });
  if (asked === "cpu" || asked === "reference") return host(asked);
  if (asked !== "auto" && cpuOnly !== undefined) {
    throw new UnsupportedError(
      `${cpuOnly} on device "${asked}"`,
      'Leave it out, or load with device: "cpu".',
    );
  }
  const cuda = findCuda();
  const name = asked === "auto" ? cuda.devices[0]?.name : asked;
  const found = cuda.devices.find((each) => each.name === name);
  if (found && cpuOnly === undefined) {
    return { device: found.name, plugin: cuda.path, freeBytes: found.freeBytes };
  }
  if (asked !== "auto") {
    const present = [...hosts, ...cuda.devices].map((each) => each.name);
    const reason = cuda.problem && `There is no device "${asked}" here. ${cuda.problem}`;
    throw new DeviceError(asked, present, reason || undefined);
  }
  const why = found ? `${cpuOnly} is for the CPU only.` : cuda.problem;
  return { ...host("cpu"), ...(cuda.found && { notice: `Running on the CPU, not on CUDA: ${why}` }) };
}

function freeBytesOf(devices: readonly DeviceInfo[], name: NativeDevice): number {
  return devices.find((each) => each.name === name)?.freeBytes ?? 0;
}
