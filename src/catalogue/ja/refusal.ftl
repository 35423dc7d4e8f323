# キーパーまたはサーバーが断った理由。英語の文は通信にそのまま使われ、サーバーのスクリプトにも同じ文があります。
# クライアントは英語の文からメッセージとその値を見つけ、自分の言語の文で表示します。
refusal-version = キーパーのプロトコルはバージョン { $own }、クライアントのプロトコルはバージョン { $other } です
refusal-capacity = キューの容量は { $have } で、{ $asked } ではありません。--capacity を外すか、同じ値を指定してください（`qdemo rm` で作り直せます）
refusal-unbounded = 0 (無制限)
refusal-private = このキューは実行中の `qdemo run` のものです。使えるのはそのワーカーだけです
refusal-too-far = 空き待ちのアイテムが多すぎるため、{ $seq } 番までのアイテムを追加できません
refusal-get-twice = すでにアイテムを待っています。一度に待てるのは 1 件だけです
refusal-not-in-flight = アイテム { $first } から { $count } 個は、このクライアントの処理中のアイテムではありません
refusal-not-failed = { $id } 番の失敗アイテムはありません。`qdemo failed` で一覧を確認してください
refusal-in-use-items = キューに { $items } 個のアイテムがあります（待機中 { $ready }、処理中 { $in_flight }、失敗 { $failed }）。それでも削除するには --force を指定してください
refusal-in-use-clients = { $clients } 個のプロセスがキューを使っています。それでも削除するには --force を指定してください
refusal-in-use = キューに { $items } 個のアイテムがあり（待機中 { $ready }、処理中 { $in_flight }、失敗 { $failed }）、{ $clients } 個のプロセスがキューを使っています。それでも削除するには --force を指定してください
refusal-journal = キューのジャーナルに書き込めません: { $error }（受け付け済みのアイテムはすべて残っています）
refusal-removed = キューは削除されました
refusal-removed-or-lost = キューが削除されたか、サーバーがキューを失いました
refusal-not-paced = ここでは時刻を管理していません。自分の時計で待ってください
refusal-item-too-large = アイテムは JSON で { $bytes } バイトまでです
refusal-put-too-large = 複数のアイテムをまとめて追加できるのは { $bytes } バイトまでです
refusal-incomplete-items = 受信途中のアイテムは全体で { $size } MiB までです。大きなアイテムは 1 個ずつ追加してください
refusal-line-too-long = 行が要求の上限より長くなっています
refusal-put-head = put には、クライアントの最後のアイテムの番号、個数、バイト数が必要です
refusal-no-room = これ以上クライアントを受け入れられません: { $error }
refusal-no-room-to-resume = クライアントを受け入れられません: { $error }
refusal-not-removed = キューを削除できません: { $error }
