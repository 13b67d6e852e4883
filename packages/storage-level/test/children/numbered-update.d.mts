export function numberedUpdate(number: number): Uint8Array
