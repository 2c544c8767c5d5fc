const limit = 65536
const texts = new Map<string, string>()
const lists = new Map<string, readonly string[]>()

/**
 * The one copy of a text that many objects repeat (node, zone and port names), so that
 * 250 000 endpoints share it. Forgets everything when an odd cluster has too many of them.
 */
export function intern(text: string): string {
  const known = texts.get(text)
  if (known !== undefined) return known
  if (texts.size >= limit) texts.clear()
  texts.set(text, text)
  return text
}

/** The one copy of a list of names that many objects repeat. */
export function internList(list: readonly string[]): readonly string[] {
  const key = JSON.stringify(list)
  const known = lists.get(key)
  if (known !== undefined) return known
  if (lists.size >= limit) lists.clear()
  const copy = Object.freeze([...list])
  lists.set(key, copy)
  return copy
}
