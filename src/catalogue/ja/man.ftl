# マニュアルページ
man-manual = ユーザーコマンド
man-name = 名前
man-synopsis = 書式
man-description = 説明
man-subcommands = サブコマンド
man-examples = 例
man-exit-status = 終了コード
man-exit-status-text = 0: 完了。1: 失敗。2: コマンドの指定が正しくなく、何も開始していない。3: 指定した時間を超えて待つことになる（キューが満杯または空、あるいは未完了のアイテムがある）。4: キューが閉じられているか、終了している。126: アイテムごとのコマンドを実行できない。127: アイテムごとのコマンドがない。シグナルで終わるコマンドは、そのシグナルで終了する。コンテナのプロセス 1 は 128 + シグナル番号で終了する。
man-signals = シグナル
man-signals-text = 最初の SIGINT、SIGTERM、SIGHUP はコマンドに終了を求め、2 回目は直ちに終了させる。SIGTSTP は消費者とそのコマンドをともに停止する。開始時に無視されているシグナルは無視したままにする。ただし、スクリプトが & で起動したコマンドのように SIGQUIT も無視されている場合、SIGINT は無視しない。
man-environment = 環境変数
man-variable-dir = キューのフォルダー。既定値は {"${"}XDG_STATE_HOME:-~/.local/state{"}"}/qdemo。
man-variable-queue = --queue のないコマンドのキュー。既定値は default。
man-variable-server = --server のないコマンドのキューがある Redis または Valkey サーバーの URL。既定ではこのマシンのキューを使う。run、timeline、bench はこの変数を無視する。--server の URL はプロセス一覧でほかのユーザーに見えるため、パスワードは QDEMO_SERVER_PASSWORD またはファイルで渡す。
man-variable-password = サーバーのパスワードのファイル、またはパスワード。ファイルが優先され、どちらも URL のパスワードより優先される。
man-variable-ca = --server-ca のないコマンドが信頼する認証局のファイル。既定ではシステムの認証局を使う。
man-variable-lang = --lang のないコマンドの言語: ja または en。既定ではロケール（LC_ALL、LC_MESSAGES、LANG）で決まり、run、producer、consumer のログ行は日本語。
