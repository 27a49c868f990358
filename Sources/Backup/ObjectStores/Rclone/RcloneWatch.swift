/// The program that `sh` runs so that rclone ends with us, however we end: it waits for rclone, and a second shell beside it waits for
/// the end of our pipe, which the system closes even when we are killed.
///
/// Neither Linux' parent-death signal (it goes with the thread, and needs a `fork` of our own) nor a process group (nobody is left to
/// signal it) does that on every system.
enum RcloneWatch {
    /// Arguments: the folder of the socket, the program, and its arguments. The status is rclone's.
    static let script = """
        folder=$1
        shift
        exec 3<&0 </dev/null
        "$@" 3<&- &
        child=$!
        {
            read -r nothing <&3
            kill "$child"
            for second in 1 2 3 4 5 6 7 8 9 10; do sleep 1; done
            kill -9 "$child"
        } >/dev/null 2>&1 &
        watch=$!
        exec 3<&-
        wait "$child"
        status=$?
        kill "$watch" 2>/dev/null
        rm -f "$folder/rc.sock"
        rmdir "$folder"
        exit "$status"
        """
}
