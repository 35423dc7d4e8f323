# キューを使うコマンドの結果、通知、エラー
command-no-queue = キュー「{ $queue }」がありません。キューは 1 つもありません: `qdemo put` で作成できます
command-similar-queue = キュー「{ $queue }」がありません: もしかして{ $known }ですか
command-other-queues = キュー「{ $queue }」がありません: 今あるキューは{ $names }{ $count ->
    [1] だけです
   *[other] です
 }
command-unknown-queue = キュー「{ $queue }」がありません: `qdemo put` で作成し、`qdemo status` で一覧表示できます
command-name = 「{ $name }」
command-more-names = { $names }ほか { $more } 個（一覧は `qdemo status`）
command-and = { $first }{ $second }
command-or = { $first }か{ $second }
command-damaged = キュー「{ $queue }」のジャーナルの { $lines } 行目が壊れています: { $damaged ->
    [1] この記録
   *[other] これらの記録
 }は失われましたが、ほかは無事です
command-damaged-legacy = キュー「{ $queue }」のファイル memory.json は壊れていたため削除されました: 容量と終了の記録は失われた可能性がありますが、アイテムはすべて無事です
command-was-removed = キューは削除されました
command-is-held = 別のプロセスがキューを使い始めました。もう一度実行してください

command-empty = キュー「{ $queue }」は空です{ $printed ->
    [0] {""}
   *[other] （{ $count } 個中 { $printed } 個を取得）
 }
command-unused = キュー「{ $queue }」は空です: アイテムが追加されたことはありません
command-ended = キュー「{ $queue }」は終了しました{ $printed ->
    [0] {""}
   *[other] （{ $count } 個中 { $printed } 個を取得）
 }
command-printed-again = { $cause }。表示したアイテムがもう一度配られることがあります
command-full = キュー「{ $queue }」は満杯です（容量 { $capacity }）。追加されていないアイテム: { $items }
command-closed = キュー「{ $queue }」は閉じられており、アイテムを追加できません: 残りは `qdemo status -q { $quoted }` で確認できます。`qdemo rm -q { $quoted }` で削除すれば、次の `qdemo put` が新しいキューを作成します
command-nothing-ready = キュー「{ $queue }」に待機中のアイテムはありません
command-nul-item = アイテム { $id } は表示できません。シェルの行に書けない NUL を含んでいます
command-joined-failed = キュー「{ $queue }」の { $items } 個のアイテムが失敗し、ほかはすべて完了しました: 失敗アイテムは `qdemo failed -q { $quoted }` で一覧表示できます
command-unfinished = キュー「{ $queue }」の { $items } 個のアイテムが時間内に完了しませんでした
command-dropped = { $items } 個のアイテムを破棄しました
command-retried = { $items } 個のアイテムをキューに戻しました
command-not-failed = アイテム { $id } は失敗アイテムではありません: 失敗アイテムは `qdemo failed -q { $quoted }` で一覧表示できます
command-lone-ids = ID だけでは何もできません: --retry か --drop を指定するか、一覧なら ID を外してください
command-removed-items = キューと { $items } 個のアイテムを削除しました
command-removed-uncounted = キューを削除しました（アイテムの個数は不明）
command-not-removed = キュー「{ $queue }」を削除しませんでした
command-removed-ended = 終了したキューを { $queues } 個削除しました
command-no-ended = 削除できる終了したキューはありません
command-kept-failed = 終了したキュー「{ $queue }」は、失敗アイテムが { $items } 個あるため残しました: `qdemo failed -q { $quoted }` で一覧表示できます
command-kept-used = 終了したキュー「{ $queue }」は、アイテムまたはクライアントがあるため残しました: `qdemo status -q { $quoted }` で確認できます

command-failed-count = 失敗 { $failed }
# `qdemo failed` での失敗の理由
command-failed-deliveries = { $consumers ->
    [1] 消費者が異常終了または時間超過
   *[other] 消費者 { $consumers } 個が異常終了または時間超過
 }
command-failed-timeout = --timeout-each で時間切れ（{ $how }）
command-failed-tries = { $how }、{ $tries } 回試行
command-revoked = { $items } 個のアイテムの完了が遅すぎたため、もう一度処理されることがあります: --dead-after を長くしてください
command-late-dead = qdemo: アイテム { $id } { $items ->
    [1] の完了は
   *[other] から { $items } 個の完了は
 }間に合いませんでした: この消費者は異常終了とみなされ、アイテムはほかの消費者に渡された可能性があります
command-late-lease = qdemo: アイテム { $id } { $items ->
    [1] の完了は
   *[other] から { $items } 個の完了は
 }間に合いませんでした: その前にリースが切れ、アイテムはキューに戻っています
command-no-guard = コマンドを見張るプロセスを起動できません
command-no-command = -- の後にコマンドがありません。コマンドを書くか、-- を外してください
command-json-lines = { $option } はコマンドの出力をそのまま表示するためのもので、--format json はレコードを表示します。どちらか一方を外してください
command-tty-jobs = --tty で同時に実行できるコマンドは 1 つです。--jobs を外してください

command-run-open-files = ワーカー { $workers } 個には { $needed } 個のファイルを開く必要がありますが、上限は { $limit } です。`ulimit -n` を大きくするか、ワーカーを減らしてください
command-no-delay-file = 一時フォルダー (TMPDIR) に実行用の遅延を書き込めません
command-no-worker = ワーカーのプロセスを起動できません
command-no-pipe = 名前付きパイプを作成できません
command-no-random = 乱数を得られません
command-no-directory = { $parent } にフォルダーを作成できません（書き込めるフォルダーを TMPDIR に指定してください）
command-directory-left = 実行用フォルダーを削除できません
command-no-signals = シグナルを設定できません: { $cause }
command-panic = 内部エラーです。報告をお願いします: { $panic }

command-results-unusable = { $dir } を --results に使えません: { $error }。別のフォルダーを指定してください
command-results-not-empty = { $dir } には結果以外のファイルがあります。--results には空のフォルダーか新しいフォルダーを指定してください
command-results-other-queue = { $dir } には別のキュー（{ $queue }）の結果があります。--results には別のフォルダーを指定してください
command-results-unwritable = アイテム { $id } の結果を { $dir } に保存できません。空きを作るか、別のフォルダーを指定してください
