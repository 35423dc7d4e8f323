# サーバー上のキュー: エラー、通知、サーバー自身の情報
server-unreachable = サーバー { $server } に接続できません（{ $cause }）。サーバーを起動するか、--server でアドレスを指定してください
server-silent = サーバー { $server } が応答しません（{ $cause }）。応答のない操作は、実行されたかどうかわかりません
server-credentials = サーバー { $server } がパスワードまたはユーザーを受け付けません（{ $cause }）。QDEMO_SERVER_PASSWORD でパスワードを指定してください
server-sentinel-credentials = Sentinel { $sentinel } がパスワードを受け付けません（{ $cause }）。QDEMO_SERVER_SENTINEL_PASSWORD で Sentinel のパスワードを指定してください
server-unknown-primary = { $server } の Sentinel は、その名前のプライマリーを知りません。`sentinel monitor` に設定した名前をホストの後に書いてください
server-only-tls = サーバー { $server } のこのポートには TLS が必要です。URL を { $scheme }:// とするか、TLS を使わないポートを指定してください
server-no-tls = サーバー { $server } のこのポートでは TLS を使えません。URL を { $scheme }:// とするか、tls-port を指定してください
server-rights = サーバー { $server } のユーザーに { $rights } の権限がありません。`ACL SETUSER` で許可してください（必要な規則は docs/SERVER.ja.md にあります）
server-certificate = サーバー { $server } を信頼できません（{ $cause }）。--server-ca で認証局を指定し、ホスト名を証明書どおりに書いてください
server-other-kind = { $server } で応答するのは Redis や Valkey のサーバーではありません（{ $cause }）。アドレスを確認してください
server-too-old = サーバー { $server } のバージョンが古すぎます。Redis 7.0 以降か Valkey 7.2 以降が必要です（{ $cause }）
server-read-only = サーバー { $server } は読み取り専用のレプリカです。プライマリーか Sentinel のアドレスを指定してください
server-out-of-memory = サーバー { $server } のメモリーが足りません。`get` でアイテムを取り出すか、maxmemory を大きくしてください
server-cannot-save = サーバー { $server } はディスクに保存できないため、書き込みを受け付けません（{ $cause }）。サーバーのディスクを確認してください
server-layout = サーバー { $server } のキューは新しい qdemo の形式（レイアウト { $layout }）です。そのバージョンを使ってください
server-foreign-key = サーバー { $server } のキー `{ $key }` は qdemo のものではありません。別のキュー名か、別の ?prefix= を指定してください
server-forgotten = サーバー { $server } はこのクライアントを忘れました
server-unread = サーバーから届いたデータを読まないまま 64 MiB を超えたため、このクライアントは異常終了と見なされました
server-ca-file = { $file } の認証局を使えません: { $cause }
server-not-durable = サーバー { $server } が停止すると、アイテムが失われます（{ $cause }）。--sync には `appendonly yes` が必要です。Redis 7.2 より前では `appendfsync always` も必要です
server-system = サーバーとの接続でエラーが発生しました: { $cause }
server-unexpected = サーバー { $server } が要求どおりに動作しません: { $cause }
server-evicts = サーバー { $server } はメモリーが不足するとアイテムを捨てることがあります（maxmemory-policy は { $policy }）。noeviction に変えるか、--allow-eviction を指定してください

server-no-answer-yet = 時間内に応答がありません
server-connection-ended = 接続が切れました
server-lookup-failed = ホスト名を解決できません
server-invalid-certificate = 証明書が無効です: { $detail }
server-no-address = ホストのアドレスが見つかりません
server-unknown-address = アドレスの種類がわかりません
server-no-append-only-file = AOF が無効です
server-no-durability-answer = 応答の前にディスクに書き込むかどうかを確認できません
server-answers-early = ディスクに書き込む前に応答する設定です
server-slow-disk = ディスクが遅すぎます
server-right-script = `time` など、スクリプトが使うコマンド
server-right-channels = キューのチャンネル
server-right-keys = キューのキー

server-trying-again = { $error }。再試行しています
server-answers-again = サーバーが再び応答しました
server-keeps-nothing = サーバー { $server } はディスクに何も保存しません（AOF も RDB も無効）。サーバーが終了すると、アイテムはすべて失われます。`CONFIG SET appendonly yes` で保存できます
server-synced = アイテムはサーバーのディスクに書き込まれました
server-synced-replicas = アイテムはサーバーのディスクと、{ $replicas } 個中 { $reached } 個のレプリカに書き込まれました
server-loss = サーバーが確認済みの変更の一部を失いました: { $items ->
    [0] 同じアイテムが 2 回届くことがあります
   *[other] このクライアントのアイテム { $items } 個がなくなりました
 }

server-facts = サーバー { $server }: { $details }
server-fact-primary = プライマリー { $place }
server-fact-cluster = プライマリー { $primaries } 個のクラスター
server-fact-persistence = 永続化 { $persistence }
server-fact-version = バージョン { $version }
server-fact-replicas = レプリカ { $replicas } 個
server-fact-replicas-unknown = レプリカ { $unknown }
server-fact-policy = maxmemory-policy { $policy }
server-fact-separator = 、
server-unknown = 不明（ユーザーに確認する権限がありません）
server-persistence-none = なし
server-persistence-aof-no = AOF（書き込み時期は OS 任せ）
server-persistence-aof-every-second = AOF（1 秒ごと）
server-persistence-aof-always = AOF（毎回）

server-url = { $place } の値が無効です: { $error }
server-unreadable = { $place } の { $path } を読み込めません: { $error }。読み取れるファイルを指定してください
server-no-password = { $place } の { $path } にパスワードがありません。1 行で書いてください
server-not-utf8 = { $place } の値が無効です: UTF-8 ではありません
server-ca-without-tls = { $place } は TLS の接続用です。URL を rediss:// とするか、{ $place } を外してください

server-url-none = URL ではありません。redis://HOST か、ソケットの場合は redis+unix:///PATH と書いてください
server-url-scheme = スキーム `{ $scheme }` は使えません。redis://、TLS の場合は rediss://、または redis+unix:// か redis+sentinel:// と書いてください
server-url-unescaped = エスケープが必要な文字があります。# は %23、@ は %40、/ は %2F、? は %3F と書いてください
server-url-not-utf8 = % の後が UTF-8 ではありません。% は %25 と書いてください
server-url-no-host = ホストがありません。redis://localhost のように redis://HOST と書いてください
server-url-host = ホストが名前でもアドレスでもありません。redis://HOST:PORT と書き、IPv6 アドレスは [ ] で囲んでください
server-url-port = ポートが 1 から 65535 の数ではありません。redis://HOST:6379 のように書いてください
server-url-several-hosts = 複数のホストを書けるのは Sentinel だけです。redis+sentinel://HOST,HOST/SERVICE と書いてください
server-url-database = データベースが数ではありません。redis://HOST/0 か redis+unix:///PATH?db=0 のように書いてください
server-url-host-before-socket = ソケットのパスの前にホストがあります。redis+unix:///PATH とスラッシュを 3 つ書いてください
server-url-no-socket = ソケットのパスがありません。redis+unix:///PATH と書いてください
server-url-no-service = プライマリーの名前がありません。redis+sentinel://HOST/SERVICE か、SERVICE/DB と書いてください
server-url-parameter-of-host = パラメーター `{ $parameter }` は使えません。使えるのは prefix=WORD です。データベースはパスの最後に /N と書いてください
server-url-parameter-of-socket = パラメーター `{ $parameter }` は使えません。使えるのは db=N と prefix=WORD です
server-url-repeated = パラメーター `{ $parameter }` が 2 回あります。1 つにしてください
server-url-prefix = prefix が正しくありません。英数字、`-`、`_`、`.` を 1 文字から { $max } 文字で書いてください
