# コマンドのヘルプ: `help-コマンド`、`help-コマンド-オプション`、どのコマンドにも共通の `help-any-オプション`
# `-detail` は --help だけが表示する説明
help-qdemo = コマンドラインの multiprocessing.Queue（名前付きパイプで動作）
help-qdemo-detail = qdemo は Python の multiprocessing.Queue のようなキューをコマンドラインで使うプログラムです。キューには名前があり、同じ名前を指定したプロセスどうしでアイテムを受け渡します。1 つのアイテムは 1 つの消費者に渡り、その消費者が異常終了すればキューに戻ります。キューは最初に使ったコマンドが作成し、サーバーは不要です。COMMAND を付けた消費者は、アイテムごとにコマンドを実行するプールになります。
help-qdemo-variables =
    QDEMO_DIR                       キューのフォルダー
    QDEMO_QUEUE                     --queue のないコマンドのキュー
    QDEMO_SERVER                    --server のないコマンドのサーバー
    QDEMO_SERVER_PASSWORD_FILE      サーバーのパスワードのファイル
    QDEMO_SERVER_PASSWORD           サーバーのパスワード
    QDEMO_SERVER_SENTINEL_PASSWORD  Sentinel のパスワード
    QDEMO_SERVER_CA                 信頼する認証局のファイル
    QDEMO_LANG                      言語: ja または en
help-qdemo-codes = 終了コードは `qdemo man` で確認できます
help-environment = 環境変数
help-usage = 使い方
help-default = [既定値: { $value }]
help-values = [次のいずれか: { $values }]
help-examples = 例
help-heading-arguments = 引数
help-heading-options = オプション
help-heading-server = サーバー上のキュー
help-heading-command = COMMAND を実行する場合
help-group-see = キューの動きを見る
help-group-share = 名前を付けたキューを共有する
help-group-manage = キューとこのプログラムを管理する
help-more = `qdemo { $command } --help` ですべてのオプションの説明と例を表示します。

help-any-help = ヘルプを表示（-h は要約、--help は詳細）
help-any-version = バージョンを表示
help-any-lang = 言語: ja または en [既定値: QDEMO_LANG、なければロケール]
help-any-color = 色を付ける条件: auto（端末のとき。NO_COLOR と CLICOLOR_FORCE を優先）、always、never
help-any-queue = キューの名前 [既定値: QDEMO_QUEUE、なければ default]
help-any-format = 出力の形式
help-any-quiet = ログを出力しない
help-any-null = アイテムの終わりを改行ではなく NUL にする
help-any-seed = 乱数の種。同じ種なら遅延も同じ [既定値: 毎回変わる]
help-any-timeout = アイテムまたは応答を待つ時間の上限
help-any-no-wait = アイテムを待たない
help-any-count = アイテムの個数
help-any-capacity = キューの容量（アイテムの個数）。0 は無制限
help-any-item-name = 生成するアイテムの名前 [既定値: アイテム。--lang en では item]
help-producer-given = 追加するアイテム。- なら標準入力の各行
help-any-literal = そのまま追加するアイテム（- で始まっていてもよい）
help-any-json = 各アイテムを JSON の値として扱う（表記は変えない）
help-any-max-item-size = これより大きいアイテムを拒否する
help-any-sync = アイテムがディスクに書き込まれてから受け付ける。マシンがクラッシュしてもアイテムは残る。以後、このキューのすべてのクライアントに適用される
help-any-server = キューがある Redis または Valkey サーバー: redis://HOST、TLS なら rediss://HOST、ソケットなら redis+unix:///SOCKET [既定値: QDEMO_SERVER、なければこのマシンのキュー]
help-any-server-password-file = サーバーのパスワードを読むファイル [既定値: QDEMO_SERVER_PASSWORD_FILE、なければ QDEMO_SERVER_PASSWORD または URL のパスワード]
help-any-server-ca = 信頼する認証局のファイル [既定値: QDEMO_SERVER_CA、なければシステムの認証局]
help-any-server-timeout = サーバーに接続できないとき、あきらめるまでの時間 [既定値: 30s]
help-any-dead-after = サーバーへの連絡がこの時間途絶えたクライアントを異常終了とみなし、アイテムをキューに戻す [既定値: 30s]
help-any-allow-eviction = メモリー不足のときにサーバーがアイテムを捨てる設定でも追加する

help-run = 生産者と消費者のプロセスがキューを共有する様子を見る
help-run-lang = 言語: ja または en [既定値: QDEMO_LANG、なければロケール。ログ行は ja]
help-run-items = アイテムの個数。生産者に均等に割り当てる
help-run-producer-delay = アイテムごとの生産者の遅延: 1s、exp:1s（平均 1s の指数分布）、uniform:500ms..1.5s（一様分布）、erlang:段数,平均、hyper:P,平均,平均（確率 P で前の平均）、normal:平均,標準偏差、lognormal:平均,標準偏差、file:FILE（1 行に 1 つの遅延を順に使う）
help-run-consumer-delay = アイテムごとの消費者の遅延。形式は同じ
help-run-format = 出力の形式: log、json、trace（時刻、待ち、深さも示すログ）
help-run-seed = 乱数の種。同じ種なら遅延も同じ [既定値: 毎回変わり、表示される]
help-run-producers = 生産者の数
help-run-consumers = 消費者の数
help-run-speed = 実時間に対する実行の速さの倍率。max なら待たない
help-run-simulate = プロセスを使わず計算だけで実行（結果は同じ、--speed max）
help-run-respawn = 異常終了したワーカーを再起動する回数。0 なら再起動しない
help-run-chaos = 約 TIME ごとにワーカーを 1 つ無作為に強制終了する。強制終了したワーカーは必ず再起動する
help-run-stats = 最後に統計を標準エラー出力に表示する。FORM を省略すると text
help-run-stats-file = 統計をこのファイルに書き込む。--stats text がなければ JSON
help-run-warmup = 最初の N 個のアイテムを統計から除く
help-run-timeline = 実行のタイムラインを書き出すファイル（.svg または .html）
help-run-progress = 進行状況を表示する: auto（端末の場合）、always、never
help-run-detail = 終了コード 1: ワーカーが異常終了したため、処理されていないアイテムがあります。

help-timeline = 記録したイベントから実行のタイムラインを描く
help-timeline-events = `qdemo run --format json` の出力。- なら標準入力
help-timeline-output = 図を書き出す .svg または .html ファイル [既定値: 標準出力に SVG]

help-sweep = 1 つのパラメーターを変えながら実行をシミュレーションする
help-sweep-vary = 変化させるものと値。consumers、producers、capacity なら consumers=1..10、capacity=1..100:12（12 点）、capacity=1,2,4 など。consumer-delay と producer-delay は平均を変え、consumer-delay=100ms..950ms:10 のように指定
help-sweep-items = 1 回の実行のアイテムの個数
help-sweep-producer-delay = アイテムごとの生産者の遅延。形式は `qdemo run` と同じ
help-sweep-consumer-delay = アイテムごとの消費者の遅延
help-sweep-seed = 各点の 1 回目の実行の乱数の種。2 回目からは 1 ずつ増える [既定値: 毎回変わり、表示される]
help-sweep-producers = 生産者の数
help-sweep-consumers = 消費者の数
help-sweep-replications = 各点の実行回数
help-sweep-warmup = 各実行の最初の N 個のアイテムを除く [既定値: アイテムの 1 割]
help-sweep-format = 結果の形式: 表、JSON オブジェクト、または CSV
help-sweep-plot = 結果と理論値の線を描く .svg または .html ファイル
help-sweep-metric = --plot が描く値
help-sweep-progress = 進捗バーを表示する: auto（端末の場合）、always、never
help-sweep-detail =
    各実行は `qdemo run --simulate` と同じで、すべてのコアを使います。平均には 95% 信頼区間と、待ち行列理論の値があればその値を添えます。
    どの点でも同じ乱数の種を使うため、点の間の差はほぼパラメーターの違いだけで決まります（共通乱数法）。ある点の値と、ある実行の種を `qdemo run --simulate` に指定すると、その実行を再現できます。
    --replications 1 では、1 回の実行のバッチ平均から信頼区間を求めます。
    結果はコアの数によって変わりません。

help-bench = このマシンでのキューの速さを測る
help-bench-size = アイテムの大きさ。繰り返し指定できる [既定値: 16 256 4KiB 64KiB 1MiB]
help-bench-workers = 生産者の数 x 消費者の数。繰り返し指定できる [既定値: 1x1 4x4]
help-bench-against = 比べる相手: python（multiprocessing.Queue）。python3 が必要
help-bench-rounds = 各条件で測る回数 [既定値: 5。遅いマシンでは少なくなる]
help-bench-format = 結果の形式: 表、または JSON オブジェクト
help-bench-plot = 結果の棒グラフを .svg ファイルに描く
help-bench-detail =
    既定の大きさ、ワーカー数、回数なら 20 秒以内に終わります。
    終了コード 1: 測定できませんでした。

help-learn = キューの動きを学ぶ: 問題と実行で進むレッスン
help-learn-lesson = レッスンの番号。省略するとレッスンの一覧
help-learn-print = レッスン（番号がなければ全部）を、質問せずに Markdown で出力する
help-learn-python = Python のプログラムも実行する。python3 が必要
help-learn-detail =
    レッスンでは、Python のプログラムと、同じことをする qdemo のコマンドを見て、結果を予想し、実際に動かして、理由を確かめます。--print を付けたとき、または標準入力か標準出力が端末でないときは、質問せずに答えまで出力します。
    終えたレッスンには一覧で印が付きます。記録は $XDG_STATE_HOME/qdemo/lessons（既定では ~/.local/state/qdemo/lessons）に置きます。

help-producer = アイテムをキューに追加する。最後の生産者が離れるとキューは終わる
help-producer-lang = 言語: ja または en [既定値: QDEMO_LANG、なければロケール。ログ行は ja]
help-producer-items = この個数のアイテムを生成して追加する: アイテム0、アイテム1、…
help-producer-delay = アイテムごとの遅延: 1s、exp:1s（平均 1s の指数分布）、uniform:500ms..1.5s（一様分布）、erlang:段数,平均、hyper:P,平均,平均（確率 P で前の平均）、normal:平均,標準偏差、lognormal:平均,標準偏差、file:FILE（1 行に 1 つの遅延を順に使う）
help-producer-quiet = ログを出力しない。長い待ちや、消費者のいないアイテムについての通知も出力しない
help-producer-keep-open = キューを終了させずに離れる
help-producer-null = 標準入力のアイテムの終わりを改行ではなく NUL とする
help-producer-server-timeout = サーバーに接続できないとき、あきらめるまでの時間 [既定値: あきらめない]
help-producer-detail = 終了コード 1: 無効なアイテムがありました。終了コード 4: キューは閉じられています。

help-consumer = キューが終了するまでアイテムを取得する
help-consumer-lang = 言語: ja または en [既定値: QDEMO_LANG、なければロケール。ログ行は ja]
help-consumer-delay = アイテムごとの、処理完了までの遅延。COMMAND を実行する場合は完了後の遅延
help-consumer-fast = パイプに書いた時点で（読まれなくても）処理完了とし、多くのアイテムをまとめて先に取得する
help-consumer-max = この個数のアイテムを処理したら離れる
help-consumer-follow = キューが終了しても離れず、新しいアイテムを待つ
help-consumer-lease = この時間内に処理が終わらないアイテムをキューに戻す（消費者が動作中でも戻す）。COMMAND の実行中はリースを更新する
help-consumer-max-attempts = 配信の失敗（消費者の異常終了、またはリースの期限切れ）がこの回数になったアイテムを失敗アイテムに移す。0 なら移さない
help-consumer-format = 出力の形式 [既定値: log。COMMAND を実行する場合はコマンドの出力]
help-consumer-quiet = ログを出力しない。長い待ちについての通知も出力しない。COMMAND を実行する場合は進行状況と最後のまとめも出力しない（失敗したアイテムは表示する）
help-consumer-server-timeout = サーバーに接続できないとき、あきらめるまでの時間 [既定値: あきらめない]
help-consumer-jobs = 同時に実行するコマンドの数（最大 1000）: 4、50%（使えるコアの 50%）、auto（使えるすべてのコア）など
help-consumer-retries = 失敗したコマンドを再試行する回数
help-consumer-backoff = 最初の再試行までの遅延。再試行のたびに 2 倍になり、MAX（5m）を超えない。毎回、最大で半分をランダムに縮める（`1s,jitter=0%` なら縮めない）
help-consumer-timeout-each = この時間がたったコマンドを SIGTERM で、その 5 秒後に SIGKILL で終了させ、失敗とする
help-consumer-halt = 最初の失敗で止まる。soon,fail=10% のような条件も指定できる。now はほかのコマンドを終了させてアイテムをキューに戻し、soon は終わるのを待つ
help-consumer-tty = 各コマンドに端末を渡す（パスワードの入力やエディターのため）
help-consumer-dry-run = 待機中のアイテムのコマンドを出力するだけで、実行しない（アイテムはすべてキューに残る）
help-consumer-live = コマンドの出力を 1 行ごとにすぐ表示する（指定しなければ、コマンドが終わってからまとめて表示）
help-consumer-tag = 出力の各行の先頭にアイテムとタブを付ける
help-consumer-keep-order = 実行時間にかかわらず、アイテムの順に出力する
help-consumer-results = 各コマンドの出力と記録を、アイテムごとのフォルダー DIR/ID に保存する
help-consumer-command = アイテムごとに実行するコマンドとその引数
help-consumer-detail =
    消費者はアイテムごとに COMMAND を 1 回実行します。引数の {"{}"} はアイテム、{"{/}"} はそのファイル名の部分、{"{//}"} はフォルダーの部分、{"{.}"} は拡張子を除いたアイテム、{"{/.}"} は拡張子を除いたファイル名の部分、{"{#}"} はアイテムの ID、{"{%}"} はコマンドのスロット（この消費者が実行中のほかのコマンドが使っていない、1 からの最小の番号）に置き換わります。意味は GNU parallel と同じですが、{"{#}"} だけは、このコマンドの通し番号ではありません。アイテムから作った引数がなければ、アイテムは標準入力に渡されます。COMMAND の環境変数として QDEMO_ITEM、QDEMO_ID、QDEMO_ATTEMPT、QDEMO_SLOT、QDEMO_QUEUE を、サーバー上のキューでは QDEMO_SERVER も設定します。
    終了コード 1: 失敗したアイテムがあります。終了コード 126: COMMAND を実行できません。終了コード 127: COMMAND がありません。

    COMMAND がなければ、アイテムは出力した時点で処理完了になります。Linux で標準出力がパイプの場合は、読み手がアイテムを読んだ時点で処理完了になり、読み手が遅ければ先に取得するアイテムは少なくなります。

help-put = アイテムをキューに追加する
help-put-items = 追加するアイテム。- なら標準入力の各行
help-put-timeout = 空きまたは応答を待つ時間の上限
help-put-no-wait = 空きを待たない
help-put-quiet = 長い待ちについての通知を出力しない
help-put-null = 標準入力のアイテムの終わりを改行ではなく NUL とする
help-put-detail =
    - を指定すると、--timeout は行ごとに数え直します。
    終了コード 3: 時間内に空きができませんでした。終了コード 4: キューは閉じられています。

help-get = キューからアイテムを取得して表示する
help-get-format = 出力の形式: アイテムのみ、または id、item、attempt の JSON オブジェクト
help-get-quiet = メッセージを表示しない（キューが空のとき、終了したとき、長く待つとき）
help-get-detail =
    アイテムは表示した時点で処理完了になります。
    終了コード 3: 時間内にアイテムがありませんでした。終了コード 4: キューは終了しています。

help-peek = 先頭のアイテムを、キューに残したまま表示する
help-peek-format = 出力の形式: アイテムのみ、または id、item、attempt の JSON オブジェクト
help-peek-detail =
    消費者が取得するまで、アイテムはキューで待っています。
    終了コード 1: キューがありません。終了コード 3: 待っているアイテムがありません。

help-join = すべてのアイテムの処理が完了するまで待つ
help-join-timeout = すべてのアイテムの処理完了を待つ時間の上限
help-join-quiet = 長い待ちについての通知を出力しない
help-join-detail =
    `qdemo get` が表示したアイテムは処理完了です。
    終了コード 1: 失敗したアイテムがあるか、キューがありません。
    終了コード 3: 時間内に処理が完了しませんでした。

help-close = キューを閉じる。以後の追加を拒否し、最後のアイテムの後に終了する
help-close-now = どの消費者も取得していない、待機中のアイテムを捨てる
help-close-detail =
    最後のアイテムの後の番兵（終わりの印）が、すでに起動しているすべての消費者を止めます。
    終了コード 0: キューは閉じられました（すでに閉じられていた場合も含む）。終了コード 1: キューがありません。

help-status = キューのアイテムとクライアントを表示する
help-status-queue = キューの名前 [既定値: QDEMO_QUEUE、なければすべてのキュー]
help-status-format = 出力の形式: 行、またはキューごとの JSON オブジェクト
help-status-watch = Ctrl-C まで表示を更新し続ける
help-status-every = --watch の更新の間隔
help-status-progress = --watch で進行状況を表示する: auto（端末の場合）、always、never
help-status-server-timeout = サーバーに接続できないとき、あきらめるまでの時間 [既定値: 30s。--watch ではあきらめない]
help-status-detail =
    待機中のアイテムは消費者を待っています。処理中のアイテムは消費者が持っています。終了したキューは最後に分けて表示します。
    （受付終了）のキューは追加を拒否し、最後のアイテムの後に終了します。（終了待ち）のキューは、生産者がいなくなり、次に取得しようとする消費者に終了を伝えます。
    終了コード 1: キューがないか、使えないキューがあります。

help-failed = 失敗アイテムとその理由を表示する。再試行や破棄もできる
help-failed-ids = 再試行または破棄するアイテムの ID [既定値: すべて]
help-failed-retry = アイテムをキューに戻す
help-failed-drop = アイテムを破棄する
help-failed-format = 一覧の形式（text は 1 行に ID、試行回数、理由、アイテムを表示し、端末では long と同じ。long は日時、理由、標準エラー出力の最後の数行も表示）
help-failed-detail =
    終了コード 1: キューがないか、指定した ID の失敗アイテムがありません。その場合、どのアイテムも再試行や破棄をしません。

help-rm = キューを 1 つ、または終了したキューをすべて削除する
help-rm-force = アイテムやクライアントがあっても削除する
help-rm-ended = 終了したキューをすべて削除する。失敗アイテムやクライアントがあるキューは残す
help-rm-detail =
    消費者が番兵（終わりの印）を受け取り、その後に何も追加されていないキューが、終了したキューです。`qdemo status` はこれらを最後に分けて表示します。
    終了コード 1: キューがないか、アイテムまたはクライアントがあります。--force を付ければ、アイテムやクライアントがあっても削除します。--ended の終了コード 1 は、アイテムまたはクライアントがあるため残したキューがあることを表します。

help-completions = シェルの補完スクリプトを出力する
help-completions-shell = 補完スクリプトを使うシェル

help-man = qdemo またはコマンドのマニュアルページを出力する
help-man-command = このコマンドのページを出力する [既定値: qdemo 自体のページ]

help-help = コマンドを説明する
help-help-command = 説明するコマンド [既定値: すべてのコマンドの一覧]
