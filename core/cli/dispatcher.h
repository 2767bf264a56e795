// The main() of `actool` itself.
#pragma once

namespace actool::cli {

// `actool x ...` becomes `actool-x ...` (find_tool.h), as with git. Where that is this very program
// (the same file under another name), `own` is called with the words instead of executing it once
// more, as git does with its built-in commands: a process start is a tenth of what a short pod
// takes. Signals, pipes and exit codes pass straight through in both cases. What is no plain
// command is left to actool-help. Returns the exit code of `own`, or 254 when nothing could be
// executed.
int dispatcherMain(int argc, char** argv, int (*own)(int argc, char** argv));

// Whether a program started under that name is a tool ("actool-x") and not the dispatcher.
bool isToolName(const char* program);

}  // namespace actool::cli
