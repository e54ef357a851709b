/** A little colour for code: comments, texts, numbers and the words that a language keeps for itself.  Pure. */

const MOST = 40_000

const WORDS = {
  c: 'auto break case class const constexpr continue default delete do double else enum extern false float for goto if include inline int long namespace new nullptr operator private protected public return short signed sizeof static struct switch template this throw true try typedef union unsigned using virtual void while bool char',
  go: 'break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var nil true false string int error bool',
  java: 'abstract boolean break case catch class const continue default do else enum extends final finally for if implements import instanceof int interface long new null package private protected public return static super switch this throw throws true false try void while var fun val when object override string',
  js: 'async await break case catch class const continue default delete do else export extends false finally for from function if import in instanceof interface let new null of return static super switch this throw true try type typeof undefined var void while yield enum implements private public readonly as keyof',
  py: 'and as assert async await break class continue def del elif else except False finally for from global if import in is lambda match case None nonlocal not or pass raise return self True try while with yield',
  rs: 'as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while Some None Ok Err',
  sh: 'if then else elif fi for in do done while until case esac function return export local readonly set unset shift exit echo cd source sudo',
  sql: 'select from where and or not insert into values update set delete create table index drop alter add primary key foreign references join left right inner outer on group by order having limit offset as distinct union all null is in like between case when then else end begin commit rollback returning with',
  rb: 'def end class module if elsif else unless while until do begin rescue ensure return yield self nil true false and or not require include attr_accessor puts',
  json: 'true false null', yaml: 'true false null yes no',
}

const KIN = {
  bash: 'sh', zsh: 'sh', shell: 'sh', console: 'sh', dockerfile: 'sh', make: 'sh', makefile: 'sh', python: 'py', javascript: 'js', typescript: 'js', ts: 'js', jsx: 'js', tsx: 'js', mjs: 'js',
  cpp: 'c', 'c++': 'c', h: 'c', hpp: 'c', cs: 'java', csharp: 'java', kotlin: 'java', kt: 'java', swift: 'java', scala: 'java', php: 'js', rust: 'rs', golang: 'go', ruby: 'rb', yml: 'yaml', toml: 'yaml', ini: 'yaml', css: 'css', jsonc: 'json', json5: 'json',
  postgres: 'sql', sqlite: 'sql',
}

const HASH = new Set(['py', 'sh', 'rb', 'yaml'])
const known = new Map()

/** @returns {{text: string, kind: '' | 'comment' | 'string' | 'number' | 'word' | 'plus' | 'minus'}[]} */
export function coloured(text, lang) {
  const name = lang.toLowerCase()
  if (text.length > MOST) return [{ text, kind: '' }]
  if (name === 'diff' || name === 'patch') return byLine(text)
  const kin = KIN[name] ?? name
  if (!Object.hasOwn(WORDS, kin) && kin !== 'css') return [{ text, kind: '' }]
  return scanned(text, kin)
}

function scanned(text, kin) {
  const pieces = []
  const words = wordsOf(kin)
  let at = 0
  for (const found of text.matchAll(patternOf(kin))) {
    const [whole, comment, string, number, word] = found
    const kind = comment !== undefined ? 'comment' : string !== undefined ? 'string' : number !== undefined ? 'number' : words.has(kin === 'sql' ? word.toLowerCase() : word) ? 'word' : ''
    if (kind === '') continue
    if (found.index > at) pieces.push({ text: text.slice(at, found.index), kind: '' })
    pieces.push({ text: whole, kind })
    at = found.index + whole.length
  }
  if (at < text.length) pieces.push({ text: text.slice(at), kind: '' })
  return pieces
}

function wordsOf(kin) {
  if (!known.has(kin)) known.set(kin, new Set((WORDS[kin] ?? '').split(' ')))
  return known.get(kin)
}

/** Every part is anchored at its first character and never looks back: time grows with length alone. */
function patternOf(kin) {
  const comment = HASH.has(kin) ? '#[^\\n]*' : kin === 'sql' ? '--[^\\n]*' : kin === 'json' ? '\\/\\/[^\\n]*' : '\\/\\/[^\\n]*|\\/\\*(?:[^*]|\\*(?!\\/))*(?:\\*\\/)?'
  const long = kin === 'py' ? '"""(?:[^"]|"(?!""))*(?:""")?|' : ''
  const string = `${long}"(?:[^"\\\\\\n]|\\\\.)*"?|'(?:[^'\\\\\\n]|\\\\.)*'?${kin === 'js' || kin === 'go' ? '|`(?:[^`\\\\]|\\\\[^])*`?' : ''}`
  return new RegExp(`(${comment})|(${string})|(\\b\\d[\\w.]*)|([A-Za-z_]\\w*)`, 'g')
}

function byLine(text) {
  return text.split('\n').flatMap((line, at) => {
    const kind = /^\+(?!\+\+)/.test(line) ? 'plus' : /^-(?!--)/.test(line) ? 'minus' : line.startsWith('@@') ? 'comment' : ''
    return at === 0 ? [{ text: line, kind }] : [{ text: '\n', kind: '' }, { text: line, kind }]
  })
}
