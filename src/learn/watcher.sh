# Waits for a line. At the end of the input, which is the end of the lesson, kills the processes of the group "$1".
read -r _ || kill -s KILL -- "$1"
