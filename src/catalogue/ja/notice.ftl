# The notices on long waits, on failed items and on what a pool has left.
notice-first-item = キュー `{ $queue }` のアイテムを待っています。アイテムはまだ 1 個も追加されていません
notice-items-in-progress = キュー `{ $queue }` のアイテムを待っています。{ $items } 個すべてを他の消費者が処理中です
notice-item = キュー `{ $queue }` のアイテムを待っています。これまでに { $done } 個が完了{ $failed ->
    [0] しました
   *[other] 、{ $failed } 個が失敗しました
 }
notice-next-round = キュー `{ $queue }` は終了しています。新しいアイテムを待っています
notice-room = キュー `{ $queue }` の空きを待っています。キューは満杯です（{ $capacity } 個中 { $ready } 個）{ $consumers ->
    [0] 。消費者がいません
   *[other] {""}
 }
notice-join = キュー `{ $queue }` の { $items } 個の完了を待っています。処理中 { $in_progress } 個、待機中 { $ready } 個です{ $consumers ->
    [0] 。消費者がいません
   *[other] {""}
 }
notice-stop = { $text }（Ctrl-C で中止）
