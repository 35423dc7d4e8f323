# コマンドが追加するアイテム: 引数、標準入力の行、追加の結果
input-argument = { $number } 番目のアイテム
input-line = 標準入力の { $number } 行目
input-record = 標準入力の { $number } 番目のアイテム
input-too-large = { $place }は { $size } バイトで、上限の { $max } バイトを超えています。分割するか、--max-item-size を大きくしてください
input-not-utf8 = { $place }は UTF-8 ではありません。iconv などで先に変換してください
input-cut-json = { $place }は JSON ではありません（途中で終わっています）
input-not-json = { $place }は JSON ではありません（{ $column } 桁目が正しくありません）
input-not-put = { $problem }。このアイテムは追加されず、これより前のアイテムはキューにあります
input-endless-line = 標準入力の { $number } 行目は { $bytes } バイト読んでも終わりません（上限 { $max } バイト）。分割してください。これより前のアイテムはキューにあります
input-lone-dash = 標準入力を表す - は単独で指定してください。- というアイテムを追加するには `-- -` と書きます
input-nothing = 追加するアイテムがありません。--items N、アイテム、または標準入力の各行を表す - を指定してください
input-unreadable = 標準入力を読み込めません
input-closed = 標準入力が閉じられています。ファイルかパイプにつなぐか、入力なしなら </dev/null を指定してください
input-wrong-direction = 標準入力を読み込めない状態です。ファイルかパイプにつなぐか、入力なしなら </dev/null を指定してください
input-uncertain = { $cause }。次のアイテムがキューに{ $removed ->
    [yes] あったか
   *[no] あるか
 }どうかはわかりません: { $items }
input-uncertain-count = { $cause }。最後に送った { $items } 個のアイテムがキューに{ $removed ->
    [yes] あったか
   *[no] あるか
 }どうかはわかりません
input-left = { $cause }。追加されていないアイテム: { $items }
input-more = { $items } ほか { $more } 個
input-and-rest = { $items }、標準入力の残り
input-rest = 標準入力の残り
