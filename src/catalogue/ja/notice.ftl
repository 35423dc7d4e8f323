# The notices on long waits, on failed items and on what a pool has left.
notice-first-item = キュー「{ $queue }」のアイテムを待っています。アイテムはまだ 1 個も追加されていません
notice-items-in-progress = キュー「{ $queue }」のアイテムを待っています。{ $items } 個すべてを他の消費者が処理中です
notice-item = キュー「{ $queue }」のアイテムを待っています。これまでに { $done } 個が完了{ $failed ->
    [0] しました
   *[other] 、{ $failed } 個が失敗しました
 }
notice-next-round = キュー「{ $queue }」は終了しています。新しいアイテムを待っています
notice-room = キュー「{ $queue }」の空きを待っています。キューは満杯です（{ $capacity } 個中 { $ready } 個）{ $consumers ->
    [0] 。消費者がいません
   *[other] {""}
 }
notice-join = キュー「{ $queue }」の { $items } 個の完了を待っています。処理中 { $in_progress } 個、待機中 { $ready } 個です{ $consumers ->
    [0] 。消費者がいません
   *[other] {""}
 }
notice-stop = { $text }（Ctrl-C で中止）

notice-item-failed = アイテム { $id } "{ $item }" が失敗しました{ $tries ->
    [1] {""}
   *[other] （{ $tries } 回試行）
 }: { $reason }
notice-exit-code = 終了コード { $code }
notice-signal = シグナル { $signal } で異常終了
notice-timed-out = --timeout-each で時間切れ（{ $how }）
notice-all-done = { $done } 個のアイテムが完了しました
notice-some-failed = { $done } 個が完了、{ $failed } 個が失敗しました。`qdemo failed { $queue }` で失敗したアイテムを確認できます
notice-interrupted = 中断しました。キュー「{ $queue }」に { $ready } 個のアイテムが残っています。同じコマンドを再度実行すると続きから処理します
notice-interrupted-at-work = 中断しました。処理中の { $items } 個のアイテムはキュー「{ $queue }」に戻ります{ $ready ->
    [0] {""}
   *[other] （ほかに待機中 { $ready } 個）
 }。同じコマンドを再度実行すると続きから処理します
