/* SPDX-License-Identifier: Apache-2.0 */
/* dsn_text.c - what people read in a report, by language. A further text is a row, a further language a column. Called
 * by dsn.c; what is not translated is English. "<>" stands where an address or a date comes in. */
#include "mail/dsn_text.h"

static const struct row {
	struct slice en, de, fr;
} texts[] = {
	/* subjects */
	{ S_ROW("Your message was not delivered"), S_ROW("Ihre Nachricht wurde nicht zugestellt"),
	  S_ROW("Votre message n'a pas été remis") },
	{ S_ROW("Your message is delayed"), S_ROW("Ihre Nachricht verzögert sich"), S_ROW("Votre message est retardé") },
	{ S_ROW("Your message was delivered"), S_ROW("Ihre Nachricht wurde zugestellt"),
	  S_ROW("Votre message a été remis") },
	{ S_ROW("Your message was passed on"), S_ROW("Ihre Nachricht wurde weitergegeben"),
	  S_ROW("Votre message a été transmis") },
	/* to one recipient */
	{ S_ROW("Your message was not delivered to <>, and it will not be tried again."),
	  S_ROW("Ihre Nachricht an <> wurde nicht zugestellt; es wird nicht weiter versucht."),
	  S_ROW("Votre message n'a pas été remis à <> ; il n'y aura pas d'autre essai.") },
	{ S_ROW("Your message has not been delivered to <> yet."), S_ROW("Ihre Nachricht an <> ist noch nicht zugestellt."),
	  S_ROW("Votre message n'a pas encore été remis à <>.") },
	{ S_ROW("Your message has not been delivered to <> in the time that you asked for."),
	  S_ROW("Ihre Nachricht an <> ist in der Zeit, die Sie verlangt haben, nicht zugestellt worden."),
	  S_ROW("Votre message n'a pas été remis à <> dans le délai que vous aviez demandé.") },
	{ S_ROW("Your message was delivered to <>."), S_ROW("Ihre Nachricht an <> wurde zugestellt."),
	  S_ROW("Votre message a été remis à <>.") },
	{ S_ROW("Your message to <> was passed on to the next server, which will not report on it."),
	  S_ROW("Ihre Nachricht an <> wurde an den nächsten Server weitergegeben, der nichts zurückmelden wird."),
	  S_ROW("Votre message à <> a été transmis au serveur suivant, qui n'enverra pas de rapport.") },
	{ S_ROW("Your message to <> was passed on to all addresses that this one stands for. Nobody reports on those."),
	  S_ROW("Ihre Nachricht an <> wurde an alle Adressen weitergegeben, für die diese steht. Von dort kommt keine "
	        "Meldung."),
	  S_ROW("Votre message à <> a été transmis à toutes les adresses que celle-ci désigne. Il n'y aura pas de rapport "
	        "pour celles-là.") },
	/* to several */
	{ S_ROW("Your message was not delivered to these recipients, and it will not be tried again:"),
	  S_ROW("Ihre Nachricht wurde diesen Empfängern nicht zugestellt; es wird nicht weiter versucht:"),
	  S_ROW("Votre message n'a pas été remis à ces destinataires ; il n'y aura pas d'autre essai :") },
	{ S_ROW("Your message has not been delivered to these recipients yet:"),
	  S_ROW("Ihre Nachricht ist diesen Empfängern noch nicht zugestellt:"),
	  S_ROW("Votre message n'a pas encore été remis à ces destinataires :") },
	{ S_ROW("Your message has not been delivered to these recipients in the time that you asked for:"),
	  S_ROW("Ihre Nachricht ist diesen Empfängern in der Zeit, die Sie verlangt haben, nicht zugestellt worden:"),
	  S_ROW("Votre message n'a pas été remis à ces destinataires dans le délai que vous aviez demandé :") },
	{ S_ROW("This is what became of your message:"), S_ROW("Das ist aus Ihrer Nachricht geworden:"),
	  S_ROW("Voici ce qu'est devenu votre message :") },
	/* what to do */
	{ S_ROW("You need not do anything: it will be tried again until <>. You are told if it cannot be delivered."),
	  S_ROW("Sie müssen nichts tun: Es wird weiter versucht bis <>. Sie erfahren, wenn es nicht gelingt."),
	  S_ROW("Vous n'avez rien à faire : les essais continuent jusqu'au <>. Vous serez averti en cas d'échec.") },
	{ S_ROW("You need not do anything."), S_ROW("Sie müssen nichts tun."), S_ROW("Vous n'avez rien à faire.") },
	{ S_ROW("There is no such address. Look for a spelling mistake, or ask the recipient in another way."),
	  S_ROW("Diese Adresse gibt es nicht. Prüfen Sie die Schreibweise, oder fragen Sie den Empfänger auf anderem Weg."),
	  S_ROW("Cette adresse n'existe pas. Vérifiez l'orthographe ou demandez au destinataire autrement.") },
	{ S_ROW("The part of the address after the @ does not exist. Look for a spelling mistake."),
	  S_ROW("Den Teil der Adresse hinter dem @ gibt es nicht. Prüfen Sie die Schreibweise."),
	  S_ROW("La partie de l'adresse après le @ n'existe pas. Vérifiez l'orthographe.") },
	{ S_ROW("The address is not well-formed. Look for a spelling mistake."),
	  S_ROW("Die Adresse ist nicht richtig gebildet. Prüfen Sie die Schreibweise."),
	  S_ROW("L'adresse est mal formée. Vérifiez l'orthographe.") },
	{ S_ROW("The mailbox has moved. Ask the recipient for the new address."),
	  S_ROW("Das Postfach ist umgezogen. Fragen Sie den Empfänger nach der neuen Adresse."),
	  S_ROW("La boîte a changé d'adresse. Demandez la nouvelle au destinataire.") },
	{ S_ROW("The domain of this address takes no mail. Look for a spelling mistake."),
	  S_ROW("Die Domain dieser Adresse nimmt keine Nachrichten an. Prüfen Sie die Schreibweise."),
	  S_ROW("Le domaine de cette adresse ne reçoit pas de courrier. Vérifiez l'orthographe.") },
	{ S_ROW("The mailbox is switched off. Only the recipient can change that: ask in another way."),
	  S_ROW("Das Postfach ist abgeschaltet. Das kann nur der Empfänger ändern: Fragen Sie ihn auf anderem Weg."),
	  S_ROW("La boîte est désactivée. Seul le destinataire peut y remédier : demandez-lui autrement.") },
	{ S_ROW("The mailbox is full. Send the message again when the recipient has made room."),
	  S_ROW("Das Postfach ist voll. Senden Sie noch einmal, wenn der Empfänger Platz geschaffen hat."),
	  S_ROW("La boîte est pleine. Renvoyez le message quand le destinataire aura fait de la place.") },
	{ S_ROW("The message is too large for this mailbox. Send it in smaller parts, or as a link."),
	  S_ROW("Die Nachricht ist zu groß für dieses Postfach. Senden Sie sie in kleineren Teilen oder als Link."),
	  S_ROW("Le message est trop grand pour cette boîte. Envoyez-le en plusieurs parties ou comme lien.") },
	{ S_ROW("The message is too large for that server. Send it in smaller parts, or as a link."),
	  S_ROW("Die Nachricht ist zu groß für jenen Server. Senden Sie sie in kleineren Teilen oder als Link."),
	  S_ROW("Le message est trop grand pour ce serveur. Envoyez-le en plusieurs parties ou comme lien.") },
	{ S_ROW(
	      "The server of the recipient did not answer. Look for a spelling mistake, or send the message again later."),
	  S_ROW("Der Server des Empfängers hat nicht geantwortet. Prüfen Sie die Schreibweise, oder senden Sie später noch "
	        "einmal."),
	  S_ROW("Le serveur du destinataire n'a pas répondu. Vérifiez l'orthographe ou renvoyez le message plus tard.") },
	{ S_ROW("The server of the recipient could not be found. Look for a spelling mistake, or send the message again "
	        "later."),
	  S_ROW("Der Server des Empfängers war nicht zu finden. Prüfen Sie die Schreibweise, oder senden Sie später noch "
	        "einmal."),
	  S_ROW("Le serveur du destinataire est introuvable. Vérifiez l'orthographe ou renvoyez le message plus tard.") },
	{ S_ROW("No server takes mail for the domain of this address. Look for a spelling mistake."),
	  S_ROW("Kein Server nimmt Nachrichten für die Domain dieser Adresse an. Prüfen Sie die Schreibweise."),
	  S_ROW("Aucun serveur ne reçoit le courrier du domaine de cette adresse. Vérifiez l'orthographe.") },
	{ S_ROW("The message went in circles. The administrator of the recipient's server must correct that."),
	  S_ROW("Die Nachricht lief im Kreis. Das muss der Administrator beim Empfänger in Ordnung bringen."),
	  S_ROW("Le message a tourné en rond. L'administrateur du serveur du destinataire doit y remédier.") },
	{ S_ROW("The time in which it had to be delivered is over. Send the message again, or ask the recipient in another "
	        "way."),
	  S_ROW("Die Zeit, in der sie zugestellt sein musste, ist vorbei. Senden Sie noch einmal, oder fragen Sie den "
	        "Empfänger auf anderem Weg."),
	  S_ROW("Le délai pour la remise est passé. Renvoyez le message ou adressez-vous autrement au destinataire.") },
	{ S_ROW("The message has too many recipients for that server. Send it to fewer at once."),
	  S_ROW("Die Nachricht hat zu viele Empfänger für jenen Server. Senden Sie sie an weniger auf einmal."),
	  S_ROW("Le message a trop de destinataires pour ce serveur. Envoyez-le à moins de personnes à la fois.") },
	{ S_ROW("The server of the recipient cannot take addresses with such characters. Use one in plain letters."),
	  S_ROW("Der Server des Empfängers kann Adressen mit solchen Zeichen nicht annehmen. Verwenden Sie eine aus "
	        "einfachen Buchstaben."),
	  S_ROW("Le serveur du destinataire n'accepte pas d'adresses avec de tels caractères. Utilisez des lettres "
	        "simples.") },
	{ S_ROW(
	      "A secure connection to the server of the recipient was not possible. The administrator of that server must "
	      "correct that."),
	  S_ROW("Eine sichere Verbindung zum Server des Empfängers war nicht möglich. Das muss der Administrator dort in "
	        "Ordnung bringen."),
	  S_ROW("Une connexion sûre au serveur du destinataire n'a pas été possible. L'administrateur de ce serveur doit y "
	        "remédier.") },
	{ S_ROW("The server of the recipient does not accept this message; what it said tells why. Ask the recipient in "
	        "another way."),
	  S_ROW("Der Server des Empfängers nimmt diese Nachricht nicht an; seine Antwort sagt, warum. Fragen Sie den "
	        "Empfänger auf anderem Weg."),
	  S_ROW("Le serveur du destinataire n'accepte pas ce message ; sa réponse dit pourquoi. Adressez-vous autrement au "
	        "destinataire.") },
	{ S_ROW("It was tried until now without success. Send the message again later, or ask the recipient in another "
	        "way."),
	  S_ROW("Es wurde bis jetzt vergeblich versucht. Senden Sie später noch einmal, oder fragen Sie den Empfänger auf "
	        "anderem Weg."),
	  S_ROW("Tous les essais jusqu'ici ont échoué. Renvoyez le message plus tard ou adressez-vous autrement au "
	        "destinataire.") },
	/* of each of several */
	{ S_ROW("not delivered"), S_ROW("nicht zugestellt"), S_ROW("non remis") },
	{ S_ROW("not delivered yet"), S_ROW("noch nicht zugestellt"), S_ROW("pas encore remis") },
	{ S_ROW("delivered"), S_ROW("zugestellt"), S_ROW("remis") },
	{ S_ROW("passed on to a server that will not report on it"),
	  S_ROW("weitergegeben an einen Server, der nichts zurückmelden wird"),
	  S_ROW("transmis à un serveur qui n'enverra pas de rapport") },
	{ S_ROW("passed on to all addresses that this one stands for"),
	  S_ROW("weitergegeben an alle Adressen, für die diese steht"),
	  S_ROW("transmis à toutes les adresses que celle-ci désigne") },
	/* details */
	{ S_ROW("The other server"), S_ROW("Der andere Server"), S_ROW("L'autre serveur") },
	{ S_ROW(" said: "), S_ROW(" meldete: "), S_ROW(" a répondu : ") },
	{ S_ROW("Reason: "), S_ROW("Grund: "), S_ROW("Raison : ") },
	{ S_ROW("Subject of your message: "), S_ROW("Betreff Ihrer Nachricht: "), S_ROW("Objet de votre message : ") },
	{ S_ROW("It came in on <>."), S_ROW("Eingegangen ist sie: <>."), S_ROW("Il est arrivé le <>.") },
	{ S_ROW("Your message is attached, behind details for administrators."),
	  S_ROW("Ihre Nachricht ist angehängt, hinter Einzelheiten für Administratoren."),
	  S_ROW("Votre message est joint, après des détails pour les administrateurs.") },
	{ S_ROW("The header of your message is attached, behind details for administrators."),
	  S_ROW("Der Kopf Ihrer Nachricht ist angehängt, hinter Einzelheiten für Administratoren."),
	  S_ROW("L'en-tête de votre message est joint, après des détails pour les administrateurs.") },
	{ S_ROW("This is a message of the mail server <>. Nobody reads answers to it."),
	  S_ROW("Dies ist eine Nachricht des Mailservers <>. Antworten darauf liest niemand."),
	  S_ROW("Ceci est un message du serveur de courrier <>. Personne ne lit les réponses.") },
};

/* The language itself: "de" of "de-AT" (RFC 5646 2.1). */
static bool
is_language(struct slice tag, struct slice language)
{
	struct slice first, rest;
	slice_cut(tag, '-', &first, &rest);
	return slice_equal_nocase(first, language);
}

struct slice
dsn_language(struct slice tag)
{
	return is_language(tag, S("de")) ? S("de") : is_language(tag, S("fr")) ? S("fr") : S("en");
}

struct slice
dsn_text(struct slice language, struct slice english)
{
	bool de = is_language(language, S("de")), fr = is_language(language, S("fr"));
	for (size_t i = 0; i < COUNT_OF(texts) && (de || fr); i++)
		if (slice_equal(texts[i].en, english))
			return de ? texts[i].de : texts[i].fr;
	return english;
}
