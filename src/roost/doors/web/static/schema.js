/** Forms out of JSON schemas: which fields there are, and what is wrong with a value.  Pure. */

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {'text'|'long'|'secret'|'number'|'integer'|'yesno'|'choice'|'choices'|'lines'|'json'} kind
 * @property {string} title
 * @property {string} hint
 * @property {boolean} required
 * @property {any} value         what it begins with
 * @property {{value: any, title: string}[]} options
 * @property {object} rules      the schema itself
 * @property {string} type       of the input: email, url, date, datetime-local, text
 */

const TYPES = { email: 'email', uri: 'url', url: 'url', date: 'date', 'date-time': 'datetime-local', time: 'time', tel: 'tel', phone: 'tel' }
const MOST = 100

/** The fields of a form.  A schema that is no object is one field, called `value`. */
export function fieldsOf(schema) {
  if (schema === null || typeof schema !== 'object') return []
  const { properties } = schema
  if (properties && typeof properties === 'object') {
    const needed = new Set(Array.isArray(schema.required) ? schema.required.filter((name) => Object.hasOwn(properties, name)) : [])
    const names = [...needed, ...Object.keys(properties).filter((name) => !needed.has(name))] // JSON on its way loses the order of names, not of lists
    return names.slice(0, MOST).map((name) => field(name, properties[name], needed.has(name)))
  }
  if (schema.type === 'object' || Object.keys(schema).length === 0) return []
  return [field('value', { title: 'Answer', ...schema }, true)]
}

/** @returns {Field} */
function field(name, given, required) {
  const rules = given !== null && typeof given === 'object' ? given : {}
  const options = optionsOf(rules)
  const kind = kindOf(rules, options, name)
  return {
    name, kind, required, rules, options: options ?? optionsOf(rules.items) ?? [],
    title: String(rules.title ?? spoken(name)), hint: String(rules.description ?? ''), value: rules.default,
    type: kind === 'secret' ? 'password' : (Object.hasOwn(TYPES, rules.format) ? TYPES[rules.format] : 'text'),
  }
}

function spoken(name) {
  const words = name.replace(/([a-z])([A-Z])/g, '$1 $2').replace(/[_-]+/g, ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function typeOf(rules) {
  const { type } = rules
  return Array.isArray(type) ? (type.find((one) => one !== 'null') ?? 'string') : type
}

function kindOf(rules, options, name) {
  const type = typeOf(rules)
  if (options !== null) return 'choice'
  if (type === 'boolean') return 'yesno'
  if (type === 'integer' || type === 'number') return type
  if (type === 'array') {
    if (optionsOf(rules.items) !== null) return 'choices'
    return rules.items === undefined || typeOf(rules.items) === 'string' ? 'lines' : 'json'
  }
  if (type === 'object') return 'json'
  if (rules.format === 'password' || /password|secret|token/i.test(name)) return 'secret'
  return rules.maxLength > 200 || rules.format === 'multiline' || rules.format === 'textarea' ? 'long' : 'text'
}

function optionsOf(rules) {
  if (rules === null || typeof rules !== 'object') return null
  if (Array.isArray(rules.enum)) {
    const names = Array.isArray(rules.enumNames) ? rules.enumNames : []
    return rules.enum.map((value, at) => ({ value, title: String(names[at] ?? value) }))
  }
  const list = rules.oneOf ?? rules.anyOf
  if (!Array.isArray(list) || !list.every((one) => one !== null && typeof one === 'object' && 'const' in one)) return null
  return list.map((one) => ({ value: one.const, title: String(one.title ?? one.const) }))
}

/** A value out of what was typed or chosen: undefined for nothing.  `[value, what is wrong]`. */
export function read(field, raw) {
  const { kind } = field
  if (kind === 'yesno') return [Boolean(raw), '']
  if (kind === 'choices') return judged(field, raw.length === 0 && !field.required ? undefined : raw)
  if (kind === 'choice') return judged(field, raw)
  if (kind === 'lines') {
    const lines = String(raw).split('\n').map((line) => line.trim()).filter(Boolean)
    return judged(field, lines.length === 0 ? undefined : lines)
  }
  const text = kind === 'secret' || kind === 'long' ? String(raw) : String(raw).trim()
  if (text === '') return judged(field, undefined)
  if (kind === 'number' || kind === 'integer') {
    const number = Number(text.replace(',', '.'))
    return Number.isFinite(number) ? judged(field, number) : [undefined, 'This must be a number.']
  }
  if (kind === 'json') {
    try {
      return judged(field, JSON.parse(text))
    } catch {
      return [undefined, 'This must be JSON.']
    }
  }
  return judged(field, field.type === 'datetime-local' ? zoned(text) : text)
}

function zoned(text) {
  const date = new Date(text)
  return Number.isNaN(date.getTime()) ? text : date.toISOString()
}

function judged(field, value) {
  return [value, wrong(field, value)]
}

/** What is wrong with a value, or ''. */
export function wrong(field, value) {
  const { rules, kind } = field
  if (value === undefined) return field.required ? (kind === 'choice' ? 'Choose one.' : 'This is needed.') : ''
  if (kind === 'choice') return field.options.some((option) => option.value === value) ? '' : 'Choose one of these.'
  if (kind === 'choices' || kind === 'lines') return wrongList(field, value)
  if (kind === 'number' || kind === 'integer') return wrongNumber(field, value)
  return typeof value === 'string' && kind !== 'json' ? wrongText(rules, value) : ''
}

function wrongList({ rules, kind }, list) {
  const thing = kind === 'choices' ? 'Choose' : 'Enter'
  if (list.length < (rules.minItems ?? 0)) return `${thing} at least ${rules.minItems}.`
  if (list.length > (rules.maxItems ?? Infinity)) return `${thing} at most ${rules.maxItems}.`
  return ''
}

function wrongNumber({ rules, kind }, number) {
  if (kind === 'integer' && !Number.isInteger(number)) return 'This must be a whole number.'
  if (number < rules.minimum) return `This must be at least ${rules.minimum}.`
  if (number > rules.maximum) return `This must be at most ${rules.maximum}.`
  if (number <= rules.exclusiveMinimum) return `This must be more than ${rules.exclusiveMinimum}.`
  if (number >= rules.exclusiveMaximum) return `This must be less than ${rules.exclusiveMaximum}.`
  if (rules.multipleOf > 0 && Math.abs(number / rules.multipleOf - Math.round(number / rules.multipleOf)) > 1e-9) return `This must be a multiple of ${rules.multipleOf}.`
  return ''
}

const FORMATS = {
  email: [/^[^\s@]+@[^\s@]+$/, 'This must be an email address.'],
  uri: [/^[a-z][a-z0-9+.-]*:\S+$/i, 'This must be an address, such as https://example.com.'],
  date: [/^\d{4}-\d\d-\d\d$/, 'This must be a date, such as 2026-01-31.'],
}

function wrongText(rules, text) {
  const { length } = [...text]
  if (length < (rules.minLength ?? 0)) return `This needs at least ${rules.minLength} characters.`
  if (length > (rules.maxLength ?? Infinity)) return `This may have ${rules.maxLength} characters at most; it has ${length}.`
  const format = Object.hasOwn(FORMATS, rules.format) && FORMATS[rules.format]
  if (format && !format[0].test(text)) return format[1]
  return typeof rules.pattern === 'string' && !matches(rules.pattern, text) ? `This must match ${rules.pattern}` : ''
}

/** A pattern that is none, or that may take for ever on this text, is the server's to judge. */
function matches(pattern, text) {
  if (!isTame(pattern, text)) return true
  try {
    return new RegExp(pattern, 'u').test(text)
  } catch {
    return true
  }
}

const STEPS = 1e7

/**
 * Whether a search for the pattern ends soon, however badly it goes: each repetition that is open multiplies its steps by the
 * length of the text, each choice by two, and a group that is repeated by more than anybody can say.
 */
function isTame(pattern, text) {
  if (pattern.length > 300 || text.length > 300) return false
  const plain = pattern.replace(/\\./gsu, 'x').replace(/\[[^\]]*\]/g, 'x').replace(/\{\d+\}/g, (times, at, all) => (all[at - 1] === ')' ? times : ''))
  if (/\)[*+{]/.test(plain)) return false
  const count = (what) => plain.match(what)?.length ?? 0
  return (text.length + 1) ** (count(/[*+{]/g) + 1) * 2 ** count(/[?|]/g) < STEPS
}
