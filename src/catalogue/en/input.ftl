# The items that a command puts: arguments, lines of standard input, and what became of them.
input-argument = item { $number }
input-line = line { $number } of standard input
input-record = item { $number } of standard input
input-too-large = { $place } has { $size } bytes, and the limit is { $max }: split it, or raise --max-item-size
input-not-utf8 = { $place } is not UTF-8: convert it first, with iconv for example
input-cut-json = { $place } is not JSON: it ends too early
input-not-json = { $place } is not JSON: its column { $column } is not valid
input-not-put = { $problem }; it was not put, and the items before it are in the queue
input-endless-line = line { $number } of standard input has no end within { $bytes } bytes, and the limit is { $max }: split it; the items before it are in the queue
input-lone-dash = - reads standard input, and stands alone: write `-- -` to put the item -
input-nothing = there is nothing to put: give --items N, the items, or - for the lines of standard input
input-unreadable = cannot read standard input
input-closed = standard input is closed: connect it to a file or a pipe, or to </dev/null for no input
input-wrong-direction = standard input is not open for reading: connect it to a file or a pipe, or to </dev/null for no input
input-uncertain = { $cause }; these items may or may not { $removed ->
    [yes] have been
   *[no] be
 } in the queue: { $items }
input-uncertain-count = { $cause }; the last { $items ->
    [one] 1 item
   *[other] { $items } items
 } sent may or may not { $removed ->
    [yes] have been
   *[no] be
 } in the queue
input-left = { $cause }; not put: { $items }
input-more = { $items } and { $more } more
input-and-rest = { $items }, and the rest of standard input
input-rest = the rest of standard input
