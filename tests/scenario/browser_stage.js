// What a user of a body (bodies.py) does in a page, and what it is told: browser_stage.py calls these. `Sanderling` is
// the web SDK, bundled in front of this.

const KINDS = ["room", "users", "streams", "player", "broadcast"];

class StageUser {
  constructor(appID, server, userID, token) {
    this.told = Object.fromEntries(KINDS.map((kind) => [kind, []]));
    this.videos = new Map();
    this.userID = userID;
    this.token = token;
    const engine = (this.engine = new Sanderling.SanderlingEngine(appID, server));
    engine.on("roomStateChanged", (roomID, reason, code) => this.told.room.push([roomID, reason, code]));
    engine.on("roomUserUpdate", (roomID, update, users) =>
      this.told.users.push([roomID, update, users.map((user) => user.userID)]),
    );
    engine.on("roomStreamUpdate", (roomID, update, streams, extendedData) => {
      const reasons = update === "DELETE" ? JSON.parse(extendedData).stream_delete_reason : null;
      this.told.streams.push([roomID, update, streams.map((stream) => stream.streamID), reasons]);
    });
    engine.on("playerStateUpdate", ({ streamID, state, errorCode }) =>
      this.told.player.push([streamID, state, errorCode]),
    );
    engine.on("IMRecvBroadcastMessage", (roomID, messages) => {
      for (const { fromUser, message } of messages) this.told.broadcast.push([roomID, fromUser.userID, message]);
    });
  }

  async logIn(roomID) {
    this.roomID = roomID;
    await this.engine.loginRoom(roomID, this.token, { userID: this.userID }, { userUpdate: true });
  }

  async publish(streamID) {
    const camera = await this.engine.createStream({ camera: { video: true, audio: true } });
    const up = new Promise((resolve) => {
      this.engine.on("publisherStateUpdate", (info) => {
        if (info.streamID === streamID && info.state !== "PUBLISH_REQUESTING") resolve(info.state);
      });
    });
    this.engine.startPublishingStream(streamID, camera);
    if ((await up) !== "PUBLISHING") throw new Error(`${streamID} was not published`);
  }

  async play(streamID) {
    const video = document.createElement("video");
    video.muted = video.autoplay = true;
    document.body.append(video);
    this.videos.set(streamID, video);
    video.srcObject = await this.engine.startPlayingStream(streamID);
  }

  pictures(streamID) {
    return this.videos.get(streamID).getVideoPlaybackQuality().totalVideoFrames;
  }

  close() {
    this.engine.destroyEngine?.();
  }
}

globalThis.StageUser = StageUser;
globalThis.webCode = Sanderling.webCode;
