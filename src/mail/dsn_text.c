/* SPDX-License-Identifier: Apache-2.0 */
/* dsn_text.c - what people read in a report, by language. A further text is a row, a further language a column. Called
 * by dsn.c; what is not translated is English. */
#include "mail/dsn_text.h"

static const struct row {
	struct slice en, de, fr;
} texts[] = {
	{ S_ROW("Your message was not delivered"), S_ROW("Ihre Nachricht wurde nicht zugestellt"),
	  S_ROW("Votre message n'a pas été remis") },
	{ S_ROW("Your message is delayed"), S_ROW("Ihre Nachricht verzögert sich"), S_ROW("Votre message est retardé") },
	{ S_ROW("Your message was delivered"), S_ROW("Ihre Nachricht wurde zugestellt"),
	  S_ROW("Votre message a été remis") },
	{ S_ROW("Your message was passed on"), S_ROW("Ihre Nachricht wurde weitergegeben"),
	  S_ROW("Votre message a été transmis") },
	{ S_ROW("This is a message of the mail server "), S_ROW("Dies ist eine Nachricht des Mailservers "),
	  S_ROW("Ceci est un message du serveur de courrier ") },
	{ S_ROW(" to this recipient.\r\n"), S_ROW(": an diesen Empfänger.\r\n"), S_ROW(" : à ce destinataire.\r\n") },
	{ S_ROW(" to these recipients.\r\n"), S_ROW(": an diese Empfänger.\r\n"), S_ROW(" : à ces destinataires.\r\n") },
	{ S_ROW("It came in on "), S_ROW("Eingegangen: "), S_ROW("Arrivé : ") },
	{ S_ROW("Subject of your message: "), S_ROW("Betreff Ihrer Nachricht: "), S_ROW("Objet de votre message : ") },
	{ S_ROW("was not delivered, and will not be tried again"), S_ROW("nicht zugestellt; es wird nicht weiter versucht"),
	  S_ROW("non remis ; il n'y aura pas d'autre essai") },
	{ S_ROW("has not been delivered yet; it will be tried again, you need not do anything"),
	  S_ROW("noch nicht zugestellt; es wird weiter versucht, Sie müssen nichts tun"),
	  S_ROW("pas encore remis ; d'autres essais suivront, vous n'avez rien à faire") },
	{ S_ROW("was delivered"), S_ROW("zugestellt"), S_ROW("remis") },
	{ S_ROW("was passed on to a server that sends no reports"),
	  S_ROW("an einen Server weitergegeben, der nichts zurückmeldet"),
	  S_ROW("transmis à un serveur qui n'envoie pas de rapports") },
	{ S_ROW(" said: "), S_ROW(" meldete: "), S_ROW(" a répondu : ") },
	{ S_ROW("  Reason: "), S_ROW("  Grund: "), S_ROW("  Raison : ") },
	{ S_ROW("  It will be tried until "), S_ROW("  Es wird versucht bis "), S_ROW("  Derniers essais : ") },
	{ S_ROW("There is no such address. Look for a spelling mistake, or ask the recipient in another way."),
	  S_ROW("Diese Adresse gibt es nicht. Prüfen Sie die Schreibweise, oder fragen Sie den Empfänger auf anderem Weg."),
	  S_ROW("Cette adresse n'existe pas. Vérifiez l'orthographe ou demandez au destinataire autrement.") },
	{ S_ROW("The mailbox is full. Send the message again when the recipient has made room."),
	  S_ROW("Das Postfach ist voll. Senden Sie noch einmal, wenn der Empfänger Platz geschaffen hat."),
	  S_ROW("La boîte est pleine. Renvoyez le message quand le destinataire aura fait de la place.") },
	{ S_ROW("\r\nYour message is attached, behind details for administrators.\r\n"),
	  S_ROW("\r\nIhre Nachricht ist angehängt, hinter Einzelheiten für Administratoren.\r\n"),
	  S_ROW("\r\nVotre message est joint, après des détails pour les administrateurs.\r\n") },
	{ S_ROW("\r\nThe header of your message is attached, behind details for administrators.\r\n"),
	  S_ROW("\r\nDer Kopf Ihrer Nachricht ist angehängt, hinter Einzelheiten für Administratoren.\r\n"),
	  S_ROW("\r\nL'en-tête de votre message est joint, après des détails pour les administrateurs.\r\n") },
};

struct slice
dsn_text(struct slice language, struct slice english)
{
	bool de = slice_starts_nocase(language, S("de")), fr = slice_starts_nocase(language, S("fr"));
	for (size_t i = 0; i < COUNT_OF(texts) && (de || fr); i++)
		if (slice_equal(texts[i].en, english))
			return de ? texts[i].de : texts[i].fr;
	return english;
}
