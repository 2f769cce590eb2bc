package program

const forking = "thread_amd64.go"
