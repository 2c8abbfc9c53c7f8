// Starts `convlint server` for Python files, and shows the last verdict in the status bar.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;
let status;

/** The interpreter that the Python extension has selected for this window. */
async function selectedPython() {
  const extension = vscode.extensions.getExtension("ms-python.python");
  if (!extension) return undefined;
  const python = extension.isActive ? extension.exports : await extension.activate();
  return python?.environments?.getActiveEnvironmentPath?.().path;
}

async function command() {
  const configured = vscode.workspace.getConfiguration("convlint").get("command");
  if (configured.length) return configured;
  return [(await selectedPython()) ?? "python3", "-m", "convlint", "server"];
}

async function start() {
  const [program, ...args] = await command();
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  client = new LanguageClient(
    "convlint",
    "convlint",
    { command: program, args, options: { cwd: folder } },
    { documentSelector: [{ scheme: "file", language: "python" }] },
  );
  client.onNotification("convlint/verdict", ({ model, convertible, verdict, reasons }) => {
    const sign = { yes: "$(check)", no: "$(error)" }[convertible] ?? "$(question)";
    status.text = `${sign} ${model}: ${convertible === "yes" ? "converts" : reasons || convertible}`;
    status.tooltip = verdict;
    status.show();
  });
  await client.start();
}

async function activate(context) {
  status = vscode.window.createStatusBarItem(vscode.StatusBarAlignment.Left);
  context.subscriptions.push(
    status,
    vscode.commands.registerCommand("convlint.restart", async () => {
      await client?.stop();
      await start();
    }),
  );
  await start();
}

async function deactivate() {
  await client?.stop();
}

module.exports = { activate, deactivate };
