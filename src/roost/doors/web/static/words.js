/** Numbers and times in a few letters. */

const STEPS = [[60, 's'], [3600, 'm', 60], [86_400, 'h', 3600], [7 * 86_400, 'd', 86_400], [365 * 86_400, 'w', 7 * 86_400]]

/** How long ago, as `now`, `5m`, `3h`, `2d`, `6w`, `1y`. */
export function age(at, now = Date.now()) {
  const past = (now - moment(at)) / 1000
  if (!Number.isFinite(past)) return ''
  if (past < 45) return 'now'
  for (const [below, letter, by = 1] of STEPS) if (past < below) return `${Math.max(1, Math.round(past / by))}${letter}`
  return `${Math.round(past / (365 * 86_400))}y`
}

/** How long it took, as `4s`, `3m 20s`, `2h 5m`, `3d 4h`. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`
}

/** A moment as milliseconds: of a time as servers write it, or of seconds since 1970. */
export function moment(at) {
  return typeof at === 'number' ? (at > 1e12 ? at : at * 1000) : Date.parse(at)
}

/** A moment in the reader's own words. */
export function when(at) {
  const date = new Date(moment(at))
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
}

/** Dollars: cents from a cent on, more places below; nothing for nothing. */
export function money(dollars) {
  if (!dollars) return ''
  if (dollars < 0.01) return `$${dollars.toFixed(4)}`
  return `$${dollars < 100 ? dollars.toFixed(2) : Math.round(dollars).toLocaleString()}`
}

/** Counts as `940`, `12.3k`, `4.5M`. */
export function count(number) {
  if (number < 1000) return String(number)
  const [by, letter] = number < 999_500 ? [1e3, 'k'] : [1e6, 'M']
  const value = number / by
  return `${value < 100 ? Number(value.toFixed(1)) : Math.round(value)}${letter}`
}

/** Bytes as `12 KB`, `3.4 GB`. */
export function bytes(number) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']
  let step = 0
  let value = number
  while (value >= 1000 && step < units.length - 1) {
    value /= 1000
    step += 1
  }
  return `${value < 10 && step ? value.toFixed(1) : Math.round(value)} ${units[step]}`
}

/** `1 session`, `2 sessions`. */
export function some(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`
}
