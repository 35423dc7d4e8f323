# run、producer、consumer の通知と進行状況の表示
run-unconsumed = 生産者: 消費者がいないため、{ $items } 個のアイテムをキュー「{ $queue }」に残しました。`qdemo consumer -q { $quoted }` で取得できます
run-interrupted = 中断しました: { $items } 個のアイテムは処理されていません
run-summary = { $items } 個中 { $done } 個のアイテムを処理しました（異常終了 { $deaths } 回、再起動 { $restarts } 回、再配信したアイテム { $redelivered } 個）
run-seed = 乱数の種: { $seed }（--seed { $seed } で同じ実行を繰り返せます）
run-shutdown = 消費者が手元のアイテムを処理し終えるのを待っています（もう一度 Ctrl-C を押すと直ちに終了します）

run-starting = 起動中
run-blocked = 空き待ち
run-waiting = 待機中
run-producing = 生産中
run-processing = 処理中
run-dead = 異常終了
run-ended = 終了
run-items-put = 追加 { $items }
run-items-done = 完了 { $items }
run-items = { $items } 個
run-hidden-workers = … ほか { $workers }
run-queue = キュー
run-total = 全体
run-total-done = 完了
run-depth-peak = { $bar } { $ready }（これまでの最大 { $peak }）

run-out-of-time = シミュレーション時刻が上限の 584 年に達しました: { $not_done ->
    [0] { $items } 個のアイテムはすべて処理されましたが、遅延が終わっていません
   *[other] { $items } 個中 { $not_done } 個のアイテムが処理されていません
 }。遅延を短くするか、アイテムを減らしてください
run-workers-died = ワーカーが異常終了したため、{ $items } 個中 { $not_done } 個のアイテムが処理されていません
run-folder-removed = { $died }。ほかのプログラムが一時フォルダー内の実行用フォルダーを削除したため、再起動もできませんでした: qdemo-run.* を削除の対象から外すか、TMPDIR を設定してください
