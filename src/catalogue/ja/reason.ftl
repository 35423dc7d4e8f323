# アイテムが失敗した理由。英語の文はジャーナルと通信にそのまま使われ、クライアントは自分の言語の文で表示します。
reason-exit-code = 終了コード { $code }
reason-signal = シグナル { $signal } で異常終了
reason-unknown = 不明な理由で終了
reason-timeout = --timeout-each で時間切れ（{ $how }）
reason-last-try = { $reason }（{ $tries } 回試行）
reason-no-argument = アイテムが長すぎて引数にできません。{"{}"} を外すと、標準入力で渡します
reason-consumer-died = 消費者が異常終了したか、リースの時間を超過
reason-consumers-died = { $consumers } 個の消費者が異常終了したか、リースの時間を超過
reason-not-expected = 期待した型ではありません: { $error }
